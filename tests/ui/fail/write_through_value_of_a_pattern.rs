//! A value that is a part of an argument.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "n:<id>", value = name)]
async fn save((id, name): (u64, String)) {
    drop((id, name));
}

fn main() {}
