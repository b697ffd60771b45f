//! A borrowed argument whose copy cannot go to another thread.

use cache_runtime::cached;

use std::cell::Cell;

#[derive(Clone)]
struct Db(Cell<u64>);

#[cached(key = "user:<id>", stampede = "swr", refresh_after = "1m")]
async fn load_user(db: &Db, id: u64) -> Option<u64> {
    Some(id + db.0.get())
}

fn main() {}
