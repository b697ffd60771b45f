//! A share of 1 instead of a percentage.

use cache_runtime::cached;

#[cached(key = "user:<id>", jitter = 0.1)]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
