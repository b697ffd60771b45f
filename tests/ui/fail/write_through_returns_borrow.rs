//! A stored result that borrows.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "n:<name>")]
async fn save(name: &str) -> &str {
    name
}

fn main() {}
