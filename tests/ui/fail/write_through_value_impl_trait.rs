//! A value whose type has no name.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "n:<id>", value = name)]
async fn save(id: u64, name: impl Into<String> + Clone) {
    let _ = (id, name.into());
}

fn main() {}
