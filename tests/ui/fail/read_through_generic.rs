//! A loader whose types only its caller knows.

use cache_runtime::cached;

#[cached(pattern = "read-through", key = "user:<id>")]
async fn load_user<T: Into<u64>>(id: T) -> u64 {
    id.into()
}

fn main() {}
