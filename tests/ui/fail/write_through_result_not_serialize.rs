//! A stored result that is not `Serialize`.

use cache_runtime::cached;

#[derive(Clone, serde::Deserialize)]
struct Row {
    id: u64,
}

#[cached(pattern = "write-through", key = "n:<id>")]
async fn save(id: u64) -> Result<Row, String> {
    Ok(Row { id })
}

fn main() {}
