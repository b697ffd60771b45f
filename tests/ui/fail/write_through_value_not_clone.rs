//! A value of which no copy can be made.

use cache_runtime::cached;

#[derive(serde::Serialize, serde::Deserialize)]
struct Row {
    id: u64,
}

#[cached(pattern = "write-through", key = "n:<row.id>", value = row)]
async fn save(row: &Row) {
    let _ = row;
}

fn main() {}
