//! A version and no order.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(
    pattern = "write-through",
    key = "session:<session.id>",
    version = "<return.version>",
    consistency = "eventual"
)]
async fn save(session: Session) -> Session {
    session
}

fn main() {}
