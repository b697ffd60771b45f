//! A value that cannot be cached, in the background too.

use cache_runtime::{Error, cached};

#[derive(serde::Serialize, serde::Deserialize)]
struct User;

#[cached(key = "user:<id>", stampede = "swr", refresh_after = 1, timeout = 1)]
async fn load_user(id: u64) -> Result<Option<User>, Error> {
    let _ = id;
    Ok(None)
}

fn main() {}
