//! A version of an unknown argument.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(
    pattern = "write-through",
    key = "session:<session.id>",
    version = "<sessoin.version>"
)]
async fn save(session: Session) -> Session {
    session
}

fn main() {}
