//! A receiver that a second run of the body would not have.

use cache_runtime::cached;

struct Repo;

impl Repo {
    #[cached(key = "user:<ids[]>")]
    async fn load_users(self, ids: &[u64]) -> Vec<Option<String>> {
        ids.iter().map(|id| Some(id.to_string())).collect()
    }
}

fn main() {}
