//! A number of a write that there is none of.

use cache_runtime::cached;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(id: u64, #[sequence] sequence: u64) -> u64 {
    id + sequence
}

fn main() {}
