//! An argument that a later version brings.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>", tags("users"))]
async fn load_user(db: &Db, id: u64) -> Result<Option<String>, String> {
    let _ = db;
    Ok(Some(id.to_string()))
}

fn main() {}
