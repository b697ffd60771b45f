//! Every hit would load.

use cache_runtime::cached;

#[cached(key = "user:<id>", stampede = "swr", refresh_after = 0)]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
