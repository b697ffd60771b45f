//! A value cannot be replaced in the background after its end.

use cache_runtime::cached;

#[cached(key = "user:<id>", ttl = 60, stampede = "swr", refresh_after = "1m")]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
