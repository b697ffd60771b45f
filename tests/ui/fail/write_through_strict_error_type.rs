//! A strict writer whose error cannot hold a refusal.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(
    pattern = "write-through",
    key = "session:<session.id>",
    consistency = "strict"
)]
async fn save(session: Session) -> Result<Session, String> {
    Ok(session)
}

fn main() {}
