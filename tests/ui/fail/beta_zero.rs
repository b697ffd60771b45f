//! An eagerness of 0.

use cache_runtime::cached;

#[cached(key = "user:<id>", stampede = "early", beta = 0)]
async fn load_user(id: u64) -> Result<Option<String>, String> {
    Ok(Some(id.to_string()))
}

fn main() {}
