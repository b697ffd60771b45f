//! A placeholder that names `self` where there is none.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<self.tenant>")]
async fn load_user(db: &Db, id: u64) -> Result<Option<String>, String> {
    let _ = db;
    Ok(Some(id.to_string()))
}

fn main() {}
