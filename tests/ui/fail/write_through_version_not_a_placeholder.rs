//! A version that is not one placeholder.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(
    pattern = "write-through",
    key = "session:<session.id>",
    version = "v<return.version>"
)]
async fn save(session: Session) -> Session {
    session
}

fn main() {}
