//! A method that takes `&mut self`.

use cache_runtime::cached;

struct Db;

impl Db {
    #[cached(key = "user:<id>")]
    async fn load(&mut self, id: u64) -> u64 {
        id
    }
}

fn main() {}
