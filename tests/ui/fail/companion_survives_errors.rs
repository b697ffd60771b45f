//! Calls of the companion raise no errors of their own.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<id>", ttl = 0)]
async fn load_user(db: &Db, id: u64) -> Option<u64> {
    let _ = db;
    Some(id)
}

async fn caller() {
    let _ = (
        load_user::key(1),
        load_user::SPEC.ttl(),
        load_user::peek(1).await,
    );
    let _ = (load_user::put(1, 2).await, load_user::refresh(&Db, 1).await);
    load_user::invalidate(1).await.unwrap();
}

fn main() {}
