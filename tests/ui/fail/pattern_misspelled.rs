//! A misspelled pattern, with arguments of the one that was meant.

use cache_runtime::cached;

#[cached(pattern = "write-thru", key = "n:<id>", value = name)]
async fn rename(id: u64, name: String) {
    drop((id, name));
}

fn main() {}
