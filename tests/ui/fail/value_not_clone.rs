//! A value that cannot be cloned.

use cache_runtime::cached;

#[derive(serde::Serialize, serde::Deserialize)]
struct User {
    id: u64,
}

#[cached(key = "user:<id>")]
async fn load_user(id: u64) -> Result<Option<User>, String> {
    Ok(Some(User { id }))
}

fn main() {}
