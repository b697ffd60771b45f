//! A value that can be logged, and its TTL is taken from another type.

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

fn ttl(_: &u64) -> Option<std::time::Duration> {
    None
}

#[cached(pattern = "write-behind", key = "n:<id>", value = name, ttl_with = ttl)]
async fn save(id: u64, name: String) -> Result<(), DbError> {
    drop((id, name));
    Ok(())
}

fn main() {}
