//! A body of the wrong type, in the background too.

use cache_runtime::{Error, cached};

#[cached(key = "user:<id>", timeout = 1)]
async fn load_user(id: &str) -> Result<usize, Error> {
    let id: usize = id;
    Ok(id)
}

fn main() {}
