//! A writer with a default key.

use cache_runtime::cached;

#[cached(pattern = "write-through")]
async fn save(id: u64) -> u64 {
    id
}

async fn caller() -> u64 {
    save(1).await
}

fn main() {}
