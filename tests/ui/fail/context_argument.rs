//! An argument that the cache hands in.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>")]
async fn load_user(#[context] db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

fn main() {}
