//! A list that cannot be made of a part of it.

use cache_runtime::cached;

#[cached(key = "users:<ids[]>")]
async fn load_users(ids: [u64; 3]) -> Vec<Option<String>> {
    ids.iter().map(|id| Some(id.to_string())).collect()
}

fn main() {}
