//! A stampede mode that does not exist.

use cache_runtime::cached;

#[cached(key = "user:<id>", stampede = "lock+erly")]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
