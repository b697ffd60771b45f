//! An error that cannot say that a context is missing.

use cache_runtime::cached;

struct Db;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(#[context] db: &Db, id: u64) -> Result<Option<u64>, String> {
    let _ = db;
    Ok(Some(id))
}

fn main() {}
