//! A TTL in quotes without a unit.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>", ttl = "300")]
async fn load_user(db: &Db, id: u64) -> Result<Option<String>, String> {
    let _ = db;
    Ok(Some(id.to_string()))
}

fn main() {}
