//! A loader with a context that cannot fail.

use cache_runtime::cached;

struct Db;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(#[context] db: &Db, id: u64) -> Option<u64> {
    let _ = db;
    Some(id)
}

fn main() {}
