//! A strict writer that can return no error.

use cache_runtime::invalidates;

#[invalidates("user:<id>", consistency = "strict")]
async fn rename_user(id: u64) -> bool {
    id > 0
}

fn main() {}
