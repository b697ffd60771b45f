//! A jitter that could leave nothing of the TTL.

use cache_runtime::cached;

#[cached(key = "user:<id>", jitter = "100%")]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
