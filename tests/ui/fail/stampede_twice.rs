//! A stampede mode given twice.

use cache_runtime::cached;

#[cached(key = "user:<id>", stampede = "early+early")]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
