//! A batch loader that does not say which elements it has not found.

use cache_runtime::cached;

#[cached(key = "user:<ids[]>")]
async fn load_users(ids: &[u64]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn main() {}
