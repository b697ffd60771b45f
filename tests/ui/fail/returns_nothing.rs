//! A function that returns nothing.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>")]
async fn load_user(id: u64) {
    let _ = id;
}

fn main() {}
