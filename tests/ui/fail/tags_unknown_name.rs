//! A tag names arguments and the result.

use cache_runtime::{cached, invalidates};

#[cached(key = "user:<id>", tags = ["org:<ogr>"])]
async fn load_user(org: u32, id: u64) -> Option<String> {
    Some(format!("{org} {id}"))
}

#[invalidates(tags("org:<ogr>"))]
async fn rename(org: u32) {
    let _ = org;
}

fn main() {
    let _ = (load_user(7, 42), rename(7));
}
