//! A key that holds only a part of an argument.

use cache_runtime::cached;

#[derive(Clone)]
struct Org {
    id: u64,
}

#[cached(pattern = "read-through", key = "users-of:<org.id>")]
async fn users_of(org: &Org) -> u64 {
    org.id
}

fn main() {}
