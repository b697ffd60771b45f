//! A sequence number of another type.

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

#[cached(pattern = "write-behind", key = "all", value = none)]
async fn save(#[sequence] n: u32) -> Result<(), DbError> {
    let _ = n;
    Ok(())
}

fn main() {}
