//! Calls that the companion does not have.

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

#[cached(pattern = "write-behind", key = "n:<id>", value = name)]
async fn save(id: u64, name: String) -> Result<(), DbError> {
    drop((id, name));
    Ok(())
}

async fn caller() {
    save::peek(1).await;
    save::refresh(1, String::new()).await;
}

fn main() {}
