//! A context of the cache that it is to choose.

use cache_runtime::{Cache, Error, cached};

#[cached(pattern = "read-through", key = "user:<id>", cache = cache)]
async fn load_user(#[context] cache: &Cache, id: u64) -> Result<u64, Error> {
    let _ = cache;
    Ok(id)
}

fn main() {}
