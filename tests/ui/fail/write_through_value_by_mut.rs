//! A value that the body may change.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(pattern = "write-through", key = "session:<session.id>", value = session)]
async fn save(session: &mut Session) {
    session.version += 1;
}

fn main() {}
