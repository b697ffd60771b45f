//! An argument that the cache could not know.

use cache_runtime::cached;

struct Db;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(db: &Db, id: u64) -> u64 {
    let _ = db;
    id
}

fn main() {
    let _ = load_user(&Db, 1);
    let _ = load_user::key(1);
}
