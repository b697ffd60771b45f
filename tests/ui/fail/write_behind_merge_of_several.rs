//! A merge that does not take all that is to be merged.

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

fn add(_: &mut u64, _: u64) {}

#[cached(pattern = "write-behind", key = "n:<id>", merge = add)]
async fn save(id: u64, n: u64, m: u64) -> Result<(), DbError> {
    let _ = (id, n, m);
    Ok(())
}

fn main() {}
