//! A key for each element of a list.

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

#[cached(pattern = "write-behind", key = "n:<ids[]>", value = none)]
async fn save(ids: Vec<u64>) -> Result<(), DbError> {
    drop(ids);
    Ok(())
}

fn main() {}
