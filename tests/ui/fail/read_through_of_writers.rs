//! Arguments of writers.

use cache_runtime::cached;

#[cached(pattern = "read-through", key = "user:<id>", flush = "1s", version = "<id>")]
async fn load_user(id: u64) -> u64 {
    id
}

fn main() {}
