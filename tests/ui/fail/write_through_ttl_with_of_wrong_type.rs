//! A TTL from another type than that of the value.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

fn ttl(_: &u64) -> Option<std::time::Duration> {
    None
}

#[cached(pattern = "write-through", key = "session:<session.id>", value = session, ttl_with = ttl)]
async fn save(session: Session) -> u64 {
    session.version
}

fn main() {}
