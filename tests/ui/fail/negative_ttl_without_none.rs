//! A TTL for `None` of a function that has none.

use cache_runtime::cached;

#[cached(key = "user:<id>", negative_ttl = "1m")]
async fn load_user(id: u64) -> Result<String, String> {
    Ok(id.to_string())
}

fn main() {}
