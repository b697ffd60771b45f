//! A writer with a default key.

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

#[cached(pattern = "write-behind", value = none)]
async fn save(#[context] db: &u64, id: u64) -> Result<(), DbError> {
    let _ = (db, id);
    Ok(())
}

async fn caller() {
    let _ = save(1).await;
}

fn main() {}
