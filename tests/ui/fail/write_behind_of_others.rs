//! Arguments of other patterns.

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

#[cached(pattern = "write-behind", key = "n:<id>", value = none, stampede = "none", beta = 1, refresh_after = 1, negative_ttl = 1, timeout = 1, consistency = "strict", version = "<id>", skip(id))]
async fn save(id: u64) -> Result<(), DbError> {
    let _ = id;
    Ok(())
}

fn main() {}
