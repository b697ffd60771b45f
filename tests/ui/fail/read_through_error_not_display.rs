//! An error that has no text for `Cache::get`.

use cache_runtime::cached;

struct DbError;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(id: u64) -> Result<Option<u64>, DbError> {
    Ok(Some(id))
}

fn main() {}
