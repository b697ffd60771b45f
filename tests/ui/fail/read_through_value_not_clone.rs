//! A value that cannot be cached.

use cache_runtime::cached;

#[derive(serde::Serialize, serde::Deserialize)]
struct User;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user(id: u64) -> Option<User> {
    let _ = id;
    Some(User)
}

fn main() {}
