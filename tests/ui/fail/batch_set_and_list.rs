use std::collections::HashSet;

use cache_runtime::cached;

/// Which of the values would be whose?
#[cached(key = "user:<ids[]>")]
async fn load_users(ids: &HashSet<u64>) -> Vec<Option<String>> {
    ids.iter().map(|id| Some(id.to_string())).collect()
}

fn main() {
    let _ = load_users(&HashSet::new());
}
