//! A writer that is not async.

use cache_runtime::invalidates;

#[invalidates("user:<id>")]
fn rename_user(id: u64) {
    let _ = id;
}

fn main() {}
