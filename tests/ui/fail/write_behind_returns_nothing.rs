//! A writer that cannot say that its write was not logged.

use cache_runtime::cached;

#[cached(pattern = "write-behind", key = "n:<id>", value = none)]
async fn save(id: u64) {
    let _ = id;
}

fn main() {}
