//! A value that is not `Serialize`.

use cache_runtime::cached;

#[derive(Clone, serde::Deserialize)]
struct Row {
    id: u64,
}

#[cached(pattern = "write-through", key = "n:<row.id>", value = row)]
async fn save(row: Row) {
    drop(row);
}

fn main() {}
