//! Arguments that only write-behind takes.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "n:<id>", flush = 1, batch = 5, merge = add, max_pending = 1, when_full = "error", batch_with = all)]
async fn save(id: u64) -> u64 {
    id
}

fn main() {}
