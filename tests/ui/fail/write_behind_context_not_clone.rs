//! A context by value that is not `Clone`.

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

struct Db;

#[cached(pattern = "write-behind", key = "n:<id>", value = none)]
async fn save(#[context] db: Db, id: u64) -> Result<(), DbError> {
    let _ = (db, id);
    Ok(())
}

fn main() {}
