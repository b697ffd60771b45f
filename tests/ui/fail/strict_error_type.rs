//! A strict writer that cannot return the cache's error.

use cache_runtime::invalidates;

struct DbError;

#[invalidates("user:<id>", consistency = "strict")]
async fn rename_user(id: u64, name: &str) -> Result<(), DbError> {
    let _ = (id, name);
    Ok(())
}

fn main() {}
