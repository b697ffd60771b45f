//! A borrowed argument that cannot be copied for a load in the background.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>", stampede = "swr", refresh_after = "1m")]
async fn load_user(db: &Db, id: u64) -> Option<String> {
    let _ = db;
    Some(id.to_string())
}

fn main() {}
