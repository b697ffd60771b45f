//! Writes that are ordered by the row's own version.

use std::time::Duration;

use cache_runtime::ManualClock;
use tests::{DEADLINE, eventually, in_memory, on_each_backend, within};

use super::*;

/// A write that has changed the row and is held, while a newer one has come and gone: what the older one does then is up to the test.
async fn older_held(db: &Arc<Db>) -> (Change, JoinHandle<Result<User, DbError>>) {
    let older = Change::held("Older");
    let write = Kind::Versioned.start(db, &older);
    older.after.arrived(1).await;
    versioned(db, 7, Change::to("Newer")).await.unwrap();
    assert_eq!(cached_name().await.as_deref(), Some("Newer"));
    (older, write)
}

#[tokio::test]
async fn an_older_value_never_replaces_a_newer_one() {
    on_each_backend(async |cache| {
        let (older, write) = older_held(&Db::new()).await;
        older.after.open();
        assert_eq!(within(write).await.unwrap().unwrap().name, "Older");
        assert_eq!(cached_name().await.as_deref(), Some("Newer"));
        assert_eq!(Kind::Versioned.stats(&cache).rejected_fills, 1);
    })
    .await;
}

#[tokio::test]
async fn nor_does_it_when_the_newer_one_is_gone() {
    on_each_backend(async |_| {
        let (older, write) = older_held(&Db::new()).await;
        load::invalidate(7).await.unwrap();
        older.after.open();
        within(write).await.unwrap().unwrap();
        assert_eq!(cached_name().await, None);
    })
    .await;
}

#[tokio::test]
async fn nor_when_the_newer_one_has_expired() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    cache
        .scope(async {
            let (older, write) = older_held(&Db::new()).await;
            clock.advance(Duration::from_secs(3600));
            assert_eq!(cached_name().await, None);
            older.after.open();
            within(write).await.unwrap().unwrap();
            assert_eq!(cached_name().await, None);
        })
        .await;
}

#[tokio::test]
async fn a_newer_value_replaces_an_older_one() {
    on_each_backend(async |_| {
        let db = Db::new();
        for name in ["One", "Two", "Three"] {
            versioned(&db, 7, Change::to(name)).await.unwrap();
            assert_eq!(cached_name().await.as_deref(), Some(name));
        }
    })
    .await;
}

#[cached(
    pattern = "write-through",
    key = "user:<return.id>",
    version = "<return.version>"
)]
async fn created(db: &Db, change: Change) -> Result<Option<User>, DbError> {
    db.commit(&change).await.map(Some)
}

#[tokio::test]
async fn the_key_may_be_known_from_the_result_alone() {
    on_each_backend(async |_| {
        let db = Db::new();
        let user = created(&db, Change::to("New")).await.unwrap();
        assert_eq!(Some(load(&db, 7).await), user);
        assert_eq!(db.loads(), 0);
        created(&db, Change::to("Failed").ends(End::Err))
            .await
            .unwrap_err();
        assert_eq!(
            cached_name().await.as_deref(),
            Some("New"),
            "nobody knows which key"
        );
    })
    .await;
}

fn never(user: &User) -> Option<Duration> {
    (user.name != "Secret").then_some(Duration::from_secs(60))
}

#[cached(
    pattern = "write-through",
    key = "user:<id>",
    version = "<return.version>",
    ttl_with = never
)]
async fn selective(db: &Db, id: u64, change: Change) -> Result<User, DbError> {
    let _ = id;
    db.commit(&change).await
}

#[tokio::test]
async fn a_newer_version_that_is_not_stored_keeps_older_ones_out_too() {
    on_each_backend(async |_| {
        let db = Db::new();
        load(&db, 7).await;
        let older = Change::held("Older");
        let write = Kind::Versioned.start(&db, &older);
        older.after.arrived(1).await;
        selective(&db, 7, Change::to("Secret")).await.unwrap();
        let expired = async || cached_name().await.is_none();
        eventually(DEADLINE, expired).await;
        older.after.open();
        within(write).await.unwrap().unwrap();
        assert_eq!(cached_name().await, None);
        assert_eq!(load(&db, 7).await.name, "Secret");
    })
    .await;
}

#[tokio::test]
async fn an_announced_write_beside_one_with_a_version_leaves_that_one_in_place_or_none() {
    let cache = in_memory().await;
    cache
        .scope(async {
            let db = Db::new();
            let announced = Change::held("Of unknown age");
            let write = Kind::Fenced.start(&db, &announced);
            announced.after.arrived(1).await;
            versioned(&db, 7, Change::to("Newer")).await.unwrap();
            announced.after.open();
            within(write).await.unwrap().unwrap();
            assert_eq!(cached_name().await, None);
        })
        .await;
}
