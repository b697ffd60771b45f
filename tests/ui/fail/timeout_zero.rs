//! No time to load.

use cache_runtime::{Error, cached};

#[cached(key = "user:<id>", timeout = 0)]
async fn load_user(id: u64) -> Result<String, Error> {
    Ok(id.to_string())
}

fn main() {}
