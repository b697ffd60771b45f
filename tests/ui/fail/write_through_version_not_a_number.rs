//! A version that is no number.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    name: String,
}

#[cached(
    pattern = "write-through",
    key = "session:<session.id>",
    version = "<session.name>"
)]
async fn save(session: Session) -> Session {
    session
}

fn main() {}
