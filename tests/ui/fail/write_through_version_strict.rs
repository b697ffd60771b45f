//! A version and readers that are told before.

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
    consistency = "strict"
)]
async fn save(session: Session) -> Result<Session, cache_runtime::Error> {
    Ok(session)
}

fn main() {}
