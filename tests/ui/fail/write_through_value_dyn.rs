//! A value behind `dyn`.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "n:<id>", value = name)]
async fn save(id: u64, name: &(dyn std::fmt::Display + Sync)) {
    let _ = (id, name.to_string());
}

fn main() {}
