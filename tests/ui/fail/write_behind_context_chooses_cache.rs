//! What is handed in by a cache that it chooses.

use cache_runtime::cached;

struct DbError;

impl From<cache_runtime::Error> for DbError {
    fn from(_: cache_runtime::Error) -> Self {
        Self
    }
}

impl std::fmt::Display for DbError {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

struct Db {
    cache: cache_runtime::Cache,
}

#[cached(pattern = "write-behind", key = "n:<id>", value = none, cache = db.cache)]
async fn save(#[context] db: &Db, id: u64) -> Result<(), DbError> {
    let _ = (db, id);
    Ok(())
}

fn main() {}
