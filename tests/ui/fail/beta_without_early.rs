//! What `early` takes, without `early`.

use cache_runtime::cached;

#[cached(key = "user:<id>", stampede = "none", beta = 1.5)]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
