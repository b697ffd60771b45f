//! An argument taken by `&mut`.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>")]
async fn load_user(db: &mut Db, id: u64) -> u64 {
    let _ = db;
    id
}

fn main() {}
