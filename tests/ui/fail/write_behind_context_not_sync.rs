//! A context that cannot be shared.

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

struct Db(std::cell::Cell<u64>);

#[cached(pattern = "write-behind", key = "n:<id>", value = none)]
async fn save(#[context] db: &Db, id: u64) -> Result<(), DbError> {
    let _ = (db.0.get(), id);
    Ok(())
}

fn main() {}
