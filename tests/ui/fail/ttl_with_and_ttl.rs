//! A TTL from the value and one for all values.

use cache_runtime::cached;

#[cached(key = "user:<id>", ttl = 60, ttl_with = ttl_of)]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
