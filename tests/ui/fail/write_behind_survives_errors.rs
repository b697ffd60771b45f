//! After an error the function is still called without what is handed in.

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

#[cached(pattern = "write-behind", key = "n:<id>", value = none, flush = 0)]
async fn save(#[context] db: &u64, id: u64, #[sequence] n: u64) -> Result<(), DbError> {
    let _ = (db, id, n);
    Ok(())
}

async fn caller() {
    let _ = save(1).await;
    let _ = save::key(1);
}

fn main() {}
