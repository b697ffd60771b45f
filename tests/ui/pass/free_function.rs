//! A free function keeps its name, its documentation, its attributes and its visibility.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rust_2018_idioms,
    unused
)]

use cache_runtime::{cached, invalidates};

/// The database.
#[derive(Debug)]
pub struct Db;

/// Loads.
#[cached(pattern = "aside", key = "user:<id>", ttl = 300, stampede = "lock")]
#[inline]
#[must_use = "it was loaded"]
pub async fn load_user(db: &Db, id: u64) -> Option<String> {
    #![allow(clippy::unused_async)]
    let _ = db;
    Some(id.to_string())
}

/// Renames.
#[must_use]
#[invalidates("user:<id>")]
pub async fn rename_user(db: &Db, id: u64, name: &str) -> bool {
    let _ = (db, id, name);
    true
}

/// A part of the crate.
pub mod part {
    use cache_runtime::cached;

    #[cached(key = "mine:<id>")]
    pub(super) async fn mine(id: u64) -> u64 {
        id
    }

    #[cached(ttl = "1h30m")]
    pub(crate) async fn ours() -> u64 {
        1
    }
}

#[tokio::main]
async fn main() {
    assert_eq!(load_user(&Db, 42).await.as_deref(), Some("42"));
    assert_eq!(load_user::key(42).as_str(), "user:42");
    assert_eq!(load_user::SPEC.name(), "load_user");
    assert!(rename_user(&Db, 42, "x").await);
    assert_eq!(part::mine(1).await, 1);
    assert_eq!(part::mine::key(1).as_str(), "mine:1");
    assert_eq!(part::ours().await, 1);
    assert!(part::ours::key().as_str().ends_with("::part::ours"));
}
