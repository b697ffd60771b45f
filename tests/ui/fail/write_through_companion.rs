//! Calls that the companion of a writer does not have.

use cache_runtime::cached;

#[cached(pattern = "write-through", key = "name:<id>", value = name)]
async fn rename(id: u64, name: String) -> u64 {
    drop(name);
    id
}

#[cached(pattern = "write-through", key = "name:<return>", version = "<return>")]
async fn create() -> u64 {
    1
}

async fn caller() {
    rename::peek(1).await;
    rename::refresh(1, String::new()).await;
    create::key();
}

fn main() {}
