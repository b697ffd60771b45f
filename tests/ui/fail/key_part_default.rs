//! An argument of the default key that has no one text form.

use cache_runtime::cached;

struct Db;

#[cached]
async fn load_user(db: &Db, id: u64) -> Result<Option<String>, String> {
    let _ = db;
    Ok(Some(id.to_string()))
}

fn main() {}
