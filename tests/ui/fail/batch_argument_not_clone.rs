//! An argument that a second run of the body would not have.

use cache_runtime::cached;

use std::collections::HashMap;

struct Options;

#[cached(key = "user:<ids[]>")]
async fn load_users(ids: &[u64], options: Options) -> HashMap<u64, String> {
    let _ = options;
    ids.iter().map(|id| (*id, id.to_string())).collect()
}

fn main() {}
