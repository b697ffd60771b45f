//! An error type that cannot say that a load is late.

use cache_runtime::cached;

struct DbError;

#[cached(key = "user:<id>", timeout = "1s")]
async fn load_user(id: u64) -> Result<Option<String>, DbError> {
    Ok(Some(id.to_string()))
}

fn main() {}
