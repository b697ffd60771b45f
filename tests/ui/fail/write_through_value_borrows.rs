//! A value that borrows.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "n:<id>", value = name)]
async fn save(id: u64, name: Option<&str>) {
    let _ = (id, name);
}

fn main() {}
