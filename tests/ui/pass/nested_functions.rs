//! Functions inside of function bodies, of one name, each with a companion and entries of its own.
#![deny(warnings)]

use cache_runtime::cached;

#[cached]
async fn load(id: u64) -> u64 {
    #[cached]
    async fn load(id: u64) -> u64 {
        id + 1
    }
    load(id).await * 10
}

async fn other() -> String {
    #[cached]
    async fn load(id: u64) -> u64 {
        id + 2
    }
    assert_eq!(load(1).await, 3);
    load::key(1).to_string()
}

#[cached]
async fn recursive(depth: u64) -> u64 {
    if depth == 0 {
        0
    } else {
        1 + Box::pin(recursive(depth - 1)).await
    }
}

#[tokio::main]
async fn main() {
    assert_eq!(load(1).await, 20);
    assert_ne!(other().await, load::key(1).to_string());
    assert_eq!(recursive(3).await, 3);
}
