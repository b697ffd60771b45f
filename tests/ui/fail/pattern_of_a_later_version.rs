//! A pattern that a later version brings.

use cache_runtime::cached;

struct Db;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(db: &Db, id: u64) -> Result<Option<String>, String> {
    let _ = db;
    Ok(Some(id.to_string()))
}

fn main() {}
