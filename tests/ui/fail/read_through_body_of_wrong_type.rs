//! A body that does not return what its function says.

use cache_runtime::{Error, cached};

struct Db;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(#[context] db: &Db, id: u64) -> Result<u64, Error> {
    let _ = (db, id);
    Ok("a name")
}

fn main() {}
