//! A batch loader that returns no collection.

use cache_runtime::cached;

#[cached(key = "user:<ids[]>")]
async fn load_users(ids: &[u64]) -> Result<String, String> {
    Ok(format!("{ids:?}"))
}

fn main() {}
