//! A number that only logged writes have.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "n:<id>")]
async fn save(id: u64, #[sequence] n: u64) -> u64 {
    n + id
}

fn main() {}
