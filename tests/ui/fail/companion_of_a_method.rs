//! A companion asked for where there can be none.

use cache_runtime::cached;

struct Db;

impl Db {
    #[cached(key = "user:<id>", companion = true)]
    async fn load(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
