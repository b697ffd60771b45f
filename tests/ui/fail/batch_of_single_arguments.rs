//! What only a single loader can do.

use cache_runtime::cached;

#[cached(
    key = "user:<ids[]>",
    stampede = "lock+early+swr",
    refresh_after = 5,
    timeout = 5
)]
async fn load_users(ids: &[u64]) -> Vec<Option<String>> {
    ids.iter().map(|id| Some(id.to_string())).collect()
}

async fn caller() {
    load_users(&[1]).await;
    let _ = (load_users::keys(&[1]), load_users::invalidate(&[1]).await);
    load_users::refresh(&[1]).await;
}

fn main() {}
