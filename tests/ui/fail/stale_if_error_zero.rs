//! A window of 0 is the default.

use cache_runtime::cached;

#[cached(key = "user:<id>", stale_if_error = 0)]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
