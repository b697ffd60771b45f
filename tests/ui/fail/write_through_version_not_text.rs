//! A version that is not text.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(pattern = "write-through", key = "session:<session.id>", version = 5)]
async fn save(session: Session) -> Session {
    session
}

fn main() {}
