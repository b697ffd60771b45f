//! An argument that the cache would hand in.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "n:<id>")]
async fn save(#[context] db: &u64, id: u64) -> u64 {
    db + id
}

fn main() {}
