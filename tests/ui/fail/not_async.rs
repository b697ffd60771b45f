//! A function that is not async.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>")]
fn load_user(id: u64) -> u64 {
    id
}

fn main() {}
