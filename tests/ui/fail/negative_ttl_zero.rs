//! A TTL of 0 for `None` is the default.

use cache_runtime::cached;

#[cached(key = "user:<id>", negative_ttl = "0s")]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
