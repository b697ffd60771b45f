//! Arguments of writers on a loader.

use cache_runtime::cached;

#[cached(key = "n:<id>", value = id, version = "<id>", flush = 5, merge = add)]
async fn load(id: u64) -> u64 {
    id
}

fn main() {}
