//! A key that is known only after the body.

use cache_runtime::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Session {
    id: u64,
    version: u64,
}

#[cached(pattern = "write-through", key = "session:<return.id>")]
async fn save(session: Session) -> Session {
    session
}

fn main() {}
