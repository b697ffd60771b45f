//! A number that only logged writes have.

use cache_runtime::cached;

#[cached(key = "n:<id>")]
async fn load(id: u64, #[sequence] n: u64) -> u64 {
    id + n
}

fn main() {}
