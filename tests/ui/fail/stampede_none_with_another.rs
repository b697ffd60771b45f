//! Two stampede modes that exclude each other.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>", stampede = "lock+none")]
async fn load_user(db: &Db, id: u64) -> Result<Option<String>, String> {
    let _ = db;
    Ok(Some(id.to_string()))
}

fn main() {}
