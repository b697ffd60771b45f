//! A key for each element of a list.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(pattern = "write-through", key = "session:<sessions[].id>", value = sessions)]
async fn save(sessions: Vec<Session>) {
    drop(sessions);
}

fn main() {}
