//! A batch that is too large, and words for numbers.

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

#[cached(pattern = "write-behind", key = "n:<id>", value = none, flush = "5", batch = 100001, max_pending = "many", when_full = blok)]
async fn save(id: u64) -> Result<(), DbError> {
    let _ = id;
    Ok(())
}

fn main() {}
