//! `self` as the value.

use cache_runtime::cached;

struct Repo;

impl Repo {
    #[cached(pattern = "write-through", key = "n:<id>", value = self)]
    async fn save(&self, id: u64) {
        let _ = id;
    }
}

fn main() {}
