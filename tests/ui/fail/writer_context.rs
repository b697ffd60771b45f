//! A context of a function that its callers run.

use cache_runtime::invalidates;

struct Db;

#[invalidates("user:<id>")]
async fn rename(#[context] db: &Db, id: u64) {
    let _ = db;
}

fn main() {}
