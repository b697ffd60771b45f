//! A loader that no key leads to.

use cache_runtime::cached;

#[cached(pattern = "read-through", ttl = 300)]
async fn load_user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = load_user(1);
}
