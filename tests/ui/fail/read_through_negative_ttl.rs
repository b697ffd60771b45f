//! A `None` that there is none of.

use cache_runtime::cached;

#[cached(pattern = "read-through", key = "user:<id>", negative_ttl = 30)]
async fn load_user(id: u64) -> u64 {
    id
}

fn main() {}
