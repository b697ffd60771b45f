//! A context by `&mut`.

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

#[cached(pattern = "write-behind", key = "n:<id>", value = none)]
async fn save(#[context] db: &mut u64, id: u64) -> Result<(), DbError> {
    *db = id;
    Ok(())
}

fn main() {}
