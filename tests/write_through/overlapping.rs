//! Writes beside each other, and reads beside writes.

use cache_runtime::invalidates;
use tests::{RedisServer, in_memory, on_each_backend, on_redis, within};

use super::*;

/// Two writers change the row one after the other, and come to their ends in the given order. Returns what is cached then.
async fn two_writes(kinds: [Kind; 2], caches: [&Cache; 2], later_first: bool) -> Option<String> {
    let db = Db::new();
    let changes = [Change::held("Older"), Change::held("Newer")];
    let mut writes = Vec::new();
    for at in 0..2 {
        writes.push(kinds[at].start_on(caches[at], &db, &changes[at]));
        changes[at].after.arrived(1).await;
    }
    let order = if later_first { [1, 0] } else { [0, 1] };
    for at in order {
        changes[at].after.open();
        let write = &mut writes[at];
        within(write).await.unwrap().unwrap();
    }
    assert_eq!(db.row().name, "Newer");
    caches[0].scope(cached_name()).await
}

#[tokio::test]
async fn of_overlapping_writes_none_leaves_a_value() {
    let server = RedisServer::start().await;
    let (memory, one, two) = (
        in_memory().await,
        on_redis(&server).await,
        on_redis(&server).await,
    );
    for caches in [[&memory, &memory], [&one, &one], [&one, &two]] {
        for kinds in [
            [Kind::Fenced, Kind::Fenced],
            [Kind::Strict, Kind::Fenced],
            [Kind::Fenced, Kind::Strict],
        ] {
            for later_first in [false, true] {
                let left = two_writes(kinds, caches, later_first).await;
                assert_eq!(left, None, "{kinds:?}, the later first: {later_first}");
            }
        }
    }
    assert_eq!(Kind::Fenced.stats(&memory).rejected_fills, 8);
}

/// The documented weakness of the level, and the proof that the test above sees what it claims to see.
#[tokio::test]
async fn eventual_the_older_of_overlapping_writes_may_stay() {
    on_each_backend(async |cache| {
        let left = two_writes([Kind::Eventual; 2], [&cache; 2], true).await;
        assert_eq!(left.as_deref(), Some("Older"));
    })
    .await;
}

#[tokio::test]
async fn a_write_after_overlapping_ones_leaves_its_value_again() {
    on_each_backend(async |cache| {
        two_writes([Kind::Fenced; 2], [&cache; 2], true).await;
        fenced(&Db::new(), 7, Change::to("Next")).await.unwrap();
        assert_eq!(cached_name().await.as_deref(), Some("Next"));
    })
    .await;
}

#[invalidates("user:<id>")]
async fn forget(db: &Db, id: u64) {
    let _ = id;
    db.commit(&Change::to("Newest")).await.unwrap();
}

#[tokio::test]
async fn a_write_beside_one_that_invalidates_leaves_no_value() {
    on_each_backend(async |_| {
        for kind in [Kind::Fenced, Kind::Strict] {
            let db = Db::new();
            let change = Change::held("New");
            let write = kind.start(&db, &change);
            change.after.arrived(1).await;
            forget(&db, 7).await;
            change.after.open();
            within(write).await.unwrap().unwrap();
            assert_eq!(cached_name().await, None, "{kind:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_load_from_before_a_write_is_not_stored_after_it() {
    on_each_backend(async |cache| {
        for kind in Kind::ALL {
            let db = Db::new();
            db.row.lock().unwrap().version = 10 * kind as u64;
            load::invalidate(7).await.unwrap();
            db.read.close();
            let late = tokio::spawn(carry({
                let db = Arc::clone(&db);
                async move { load(&db, 7).await.name }
            }));
            db.read.arrived(1).await;
            kind.write(&db, Change::to("New")).await.unwrap();
            db.read.open();
            assert_eq!(
                within(late).await.unwrap(),
                "Old",
                "{kind:?}: it began before"
            );
            assert_eq!(cached_name().await.as_deref(), Some("New"), "{kind:?}");
        }
        let refused = cache.stats().function(load::SPEC).rejected_fills;
        assert_eq!(refused, Kind::ALL.len() as u64);
    })
    .await;
}

#[tokio::test]
async fn a_load_beside_an_announced_write_is_not_stored() {
    on_each_backend(async |_| {
        for kind in [Kind::Fenced, Kind::Strict] {
            let db = Db::new();
            let change = Change::held("New");
            change.before.close();
            let write = kind.start(&db, &change);
            change.before.arrived(1).await;
            assert_eq!(load(&db, 7).await.name, "Old");
            assert_eq!(
                cached_name().await,
                None,
                "{kind:?}: it may be old at any moment"
            );
            change.before.open();
            change.after.arrived(1).await;
            assert_eq!(load(&db, 7).await.name, "New");
            change.after.open();
            within(write).await.unwrap().unwrap();
            load::invalidate(7).await.unwrap();
        }
    })
    .await;
}
