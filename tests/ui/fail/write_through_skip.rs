//! An argument of the default key.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "n:<id>", skip(db))]
async fn save(db: u64, id: u64) -> u64 {
    db + id
}

fn main() {}
