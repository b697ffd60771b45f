//! A batch of values that cannot be cached.

use cache_runtime::cached;

use std::collections::HashMap;

#[derive(serde::Serialize, serde::Deserialize)]
struct User;

#[cached(key = "user:<ids[]>")]
async fn load_users(ids: &[u64]) -> Result<HashMap<u64, User>, String> {
    Ok(ids.iter().map(|id| (*id, User)).collect())
}

fn main() {}
