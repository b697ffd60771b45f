//! A function that never returns.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>")]
async fn load_user(id: u64) -> ! {
    panic!("{id}")
}

fn main() {}
