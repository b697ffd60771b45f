//! A closure instead of the path of a function.

use cache_runtime::cached;

#[cached(key = "user:<id>", ttl_with = |_| None)]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
