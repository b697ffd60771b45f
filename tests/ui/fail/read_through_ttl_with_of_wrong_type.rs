//! A TTL of another type's values.

use std::time::Duration;

use cache_runtime::cached;

fn ttl_of(name: &String) -> Option<Duration> {
    Some(Duration::from_secs(name.len() as u64))
}

#[cached(pattern = "read-through", key = "user:<id>", ttl_with = ttl_of)]
async fn load_user(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
