//! An argument that cannot go to another thread.

use cache_runtime::cached;

use std::rc::Rc;

#[cached(key = "user:<id>", stampede = "swr", refresh_after = "1m")]
async fn load_user(db: Rc<u64>, id: u64) -> Option<u64> {
    Some(id + *db)
}

fn main() {}
