//! After an error the function and its companion are still there, without what the cache hands in.

use cache_runtime::{Error, cached};

struct Db;

#[cached(pattern = "read-through", key = "user:<id>", ttl = 0)]
async fn load_user(#[context] db: &Db, id: u64) -> Result<Option<u64>, Error> {
    let _ = db;
    Ok(Some(id))
}

async fn caller() -> Result<(), Error> {
    load_user(1).await?;
    load_user::refresh(1).await?;
    load_user::put(1, 2).await?;
    load_user::invalidate(1).await
}

fn main() {
    let _ = caller();
    let _ = (load_user::key(1), load_user::peek(1), load_user::SPEC);
}
