//! A logged argument that is not `Serialize`.

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

#[derive(Clone, serde::Deserialize)]
struct Row {
    id: u64,
}

#[cached(pattern = "write-behind", key = "n:<row.id>")]
async fn save(row: Row) -> Result<(), DbError> {
    drop(row);
    Ok(())
}

fn main() {}
