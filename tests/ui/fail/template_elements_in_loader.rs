//! A loader whose key has one part for each element.

use cache_runtime::cached;

struct Db;

#[cached(key = "users:<ids[]>")]
async fn load_users(ids: &[u64]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn main() {}
