//! An argument that cannot be written into a key: that is said, and nothing more.

use cache_runtime::cached;

#[cached(pattern = "read-through", key = "rate:<at>")]
async fn rate(at: f64) -> u64 {
    at as u64
}

fn main() {}
