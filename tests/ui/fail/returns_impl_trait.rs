//! A function whose return type has no name.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>")]
async fn load_user(id: u64) -> impl Clone {
    id
}

fn main() {}
