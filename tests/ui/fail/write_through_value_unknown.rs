//! A value that is no argument.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(pattern = "write-through", key = "session:<session.id>", value = sesion)]
async fn save(session: Session) {
    drop(session);
}

fn main() {}
