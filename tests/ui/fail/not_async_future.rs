//! A function that returns a future.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>")]
fn load_user(id: u64) -> impl Future<Output = u64> {
    async move { id }
}

fn main() {}
