//! A function that returns a borrow.

use cache_runtime::cached;

struct Db;

#[cached(key = "user:<name>")]
async fn load_user(name: &str) -> Option<&str> {
    Some(name)
}

fn main() {}
