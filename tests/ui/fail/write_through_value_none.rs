//! Nothing to be stored.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(pattern = "write-through", key = "session:<session.id>", value = none)]
async fn save(session: Session) {
    drop(session);
}

fn main() {}
