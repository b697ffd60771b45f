//! Arguments that only loaders take.

use cache_runtime::cached;

#[cached(
    pattern = "write-through",
    key = "n:<id>",
    stampede = "lock+swr",
    refresh_after = 1,
    beta = 2,
    negative_ttl = 5,
    timeout = 5
)]
async fn save(id: u64) -> u64 {
    id
}

fn main() {}
