//! A type parameter that says too little for a load in the background.

use cache_runtime::cached;

#[cached(key = "user:<id>", stampede = "swr", refresh_after = "1m")]
async fn load_user<D: Into<u64> + Send + Sync + 'static>(db: &D, id: u64) -> Option<u64> {
    let _ = db;
    Some(id)
}

fn main() {}
