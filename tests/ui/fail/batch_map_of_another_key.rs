//! A batch loader that returns a map by something else.

use cache_runtime::cached;

use std::collections::HashMap;

#[cached(key = "user:<ids[]>")]
async fn load_users(ids: &[u64]) -> HashMap<String, u64> {
    ids.iter().map(|id| (id.to_string(), *id)).collect()
}

fn main() {}
