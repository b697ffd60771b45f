//! The age at which `swr` begins, without `swr`.

use cache_runtime::cached;

#[cached(key = "user:<id>", refresh_after = "1m")]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
