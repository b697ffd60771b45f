//! A context that the loads would have to share.

use cache_runtime::{Error, cached};

struct Db;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(#[context] db: &mut Db, id: u64) -> Result<u64, Error> {
    let _ = db;
    Ok(id)
}

fn main() {
    let _ = load_user(1);
}
