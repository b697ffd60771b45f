//! A default key, which a read-through loader cannot have.

use cache_runtime::cached;

#[cached(pattern = "read-through", key = "user:<id>", skip(id))]
async fn load_user(id: u64) -> u64 {
    id
}

fn main() {}
