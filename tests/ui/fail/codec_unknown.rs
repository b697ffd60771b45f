//! A codec that does not exist.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>", codec = "cbor")]
async fn load_user(db: &Db, id: u64) -> Result<Option<String>, String> {
    let _ = db;
    Ok(Some(id.to_string()))
}

fn main() {}
