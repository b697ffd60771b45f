//! A merge that is not a path.

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

#[cached(pattern = "write-behind", key = "n:<id>", merge = |a, b| *a += b)]
async fn save(id: u64, n: u64) -> Result<(), DbError> {
    let _ = (id, n);
    Ok(())
}

fn main() {}
