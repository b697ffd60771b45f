//! An unsafe function.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>")]
async unsafe fn load_user(id: u64) -> u64 {
    id
}

fn main() {}
