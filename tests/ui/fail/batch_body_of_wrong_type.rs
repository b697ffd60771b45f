//! A batch loader's body of the wrong type.

use cache_runtime::cached;

use std::collections::HashMap;

#[cached(key = "user:<ids[]>")]
async fn load_users(ids: &[u64]) -> HashMap<u64, String> {
    ids.iter()
        .map(|id| (*id, *id))
        .collect::<HashMap<u64, u64>>()
}

fn main() {}
