//! What a tag names has one text form.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct User {
    score: f64,
}

#[cached(key = "user:<id>", tags = ["score:<return.score>"])]
async fn load_user(id: u64) -> Option<User> {
    Some(User { score: id as f64 })
}

fn main() {
    let _ = load_user(42);
}
