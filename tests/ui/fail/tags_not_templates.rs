//! Each tag is a template.

use cache_runtime::{cached, invalidates};

#[cached(key = "user:<id>", tags = ["all", id, 7])]
async fn load_user(id: u64) -> Option<String> {
    Some(id.to_string())
}

#[invalidates(tags(id))]
async fn rename(id: u64) {
    let _ = id;
}

fn main() {
    let _ = (load_user(42), rename(42));
}
