//! A field that the value does not have.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct User {
    org_id: u64,
}

#[cached(key = "user:<id>", tags = ["org:<return.org>"])]
async fn load_user(id: u64) -> Option<User> {
    Some(User { org_id: id })
}

fn main() {
    let _ = load_user(42);
}
