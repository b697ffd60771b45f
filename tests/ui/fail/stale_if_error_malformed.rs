//! A window that is no duration.

use cache_runtime::cached;

#[cached(key = "user:<id>", stale_if_error = five)]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
