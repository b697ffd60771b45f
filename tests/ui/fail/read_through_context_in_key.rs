//! A key that names what the cache hands in.

use cache_runtime::{Error, cached};

#[cached(pattern = "read-through", key = "user:<tenant>:<id>")]
async fn load_user(#[context] tenant: &String, id: u64) -> Result<u64, Error> {
    let _ = tenant;
    Ok(id)
}

fn main() {}
