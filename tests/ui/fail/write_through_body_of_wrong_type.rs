//! A body of another type.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(pattern = "write-through", key = "session:<session.id>", value = session)]
async fn save(session: Session) -> Result<u64, String> {
    session.version
}

fn main() {}
