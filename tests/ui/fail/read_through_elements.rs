//! A loader of many entries.

use std::collections::HashMap;

use cache_runtime::cached;

#[cached(pattern = "read-through", key = "user:<ids[]>")]
async fn load_users(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

fn main() {}
