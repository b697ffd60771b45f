//! Every error of an annotation is shown, and none that follows from another.

use cache_runtime::cached;

#[cached(key = "user:<idd>", ttl = 0, stampede = "swr", codec = "jsn")]
async fn load_user(id: u64) -> u64 {
    id
}

async fn caller() -> u64 {
    load_user(1).await
}

fn main() {}
