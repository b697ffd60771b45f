//! A result with nothing in it, by an alias.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

type Done = Result<(), String>;

#[cached(pattern = "write-through", key = "session:<session.id>")]
async fn save(session: Session) -> Done {
    drop(session);
    Ok(())
}

fn main() {}
