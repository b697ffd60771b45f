//! A list of no tags says nothing.

use cache_runtime::{cached, invalidates};

#[cached(key = "user:<id>", tags = [])]
async fn load_user(id: u64) -> Option<String> {
    Some(id.to_string())
}

#[invalidates(tags())]
async fn rename(id: u64) {
    let _ = id;
}

fn main() {
    let _ = (load_user(42), rename(42));
}
