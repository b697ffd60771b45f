//! A version in a field that is not there.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(
    pattern = "write-through",
    key = "session:<session.id>",
    version = "<return.revision>"
)]
async fn save(session: Session) -> Session {
    session
}

fn main() {}
