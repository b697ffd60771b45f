//! A writer that is generic.

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
async fn save<'a, T: Clone>(id: u64, name: &'a str, other: T) -> Result<(), DbError> {
    let _ = (id, name, other);
    Ok(())
}

fn main() {}
