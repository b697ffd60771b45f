//! A function for the TTL that takes something else.

use std::time::Duration;

use cache_runtime::cached;

fn ttl_of(length: &usize) -> Option<Duration> {
    Some(Duration::from_secs(*length as u64))
}

#[cached(key = "user:<id>", ttl_with = ttl_of)]
async fn load_user(id: u64) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
