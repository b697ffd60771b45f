//! The annotation given twice.

use cache_runtime::cached;

#[cached(key = "user:<id>")]
#[cached(key = "user:<id>")]
async fn load_user(id: u64) -> u64 {
    id
}

fn main() {}
