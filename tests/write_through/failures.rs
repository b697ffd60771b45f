//! Bodies that do not come to a good end, and backends that go away at a bad moment.

use std::time::Duration;

use cache_runtime::ManualClock;
use cache_runtime::backend::Memory;
use cache_runtime::testing::{Fault, Faults, Faulty};
use tests::{DEADLINE, Proxy, RedisServer, eventually, on_each_backend, once_begun, within};

use super::*;

async fn the_old_value_goes(cache: &Cache, kind: Kind, end: End) {
    let db = Db::new();
    load(&db, 7).await;
    let change = Change::to("New").ends(end);
    let write = kind.start(&db, &change);
    change.after.arrived(1).await;
    if end == End::Drop {
        write.abort();
    }
    match within(write).await {
        Ok(result) => assert_eq!(result, Err(DbError::Failed)),
        Err(ended) => assert_eq!(ended.is_panic(), end == End::Panic),
    }
    eventually(DEADLINE, async || cached_name().await.is_none()).await;
    let stats = kind.stats(cache);
    let errors = u64::from(end == End::Err);
    assert_eq!((stats.writes, stats.write_errors), (1, errors));
}

#[tokio::test]
async fn however_a_body_ends_the_old_value_goes() {
    for kind in Kind::ALL {
        for end in [End::Err, End::Panic, End::Drop] {
            println!("{kind:?}, {end:?}");
            on_each_backend(async |cache| the_old_value_goes(&cache, kind, end).await).await;
        }
    }
}

#[tokio::test]
async fn an_announced_write_that_was_dropped_keeps_readers_off_until_its_intent_expires() {
    let clock = ManualClock::new();
    let builder = Cache::builder().clock(&clock);
    let cache = builder.intent_ttl(Duration::from_secs(10)).build().await;
    let cache = cache.unwrap();
    cache
        .scope(async {
            for kind in [Kind::Fenced, Kind::Strict] {
                let db = Db::new();
                let change = Change::held("New");
                let write = kind.start(&db, &change);
                change.after.arrived(1).await;
                write.abort();
                write.await.unwrap_err();
                load(&db, 7).await;
                assert_eq!(
                    cached_name().await,
                    None,
                    "{kind:?}: the commit may yet come"
                );
                clock.advance(Duration::from_secs(10));
                load(&db, 7).await;
                assert_eq!(cached_name().await.as_deref(), Some("New"), "{kind:?}");
            }
        })
        .await;
}

/// A process that was stopped for longer than its intent lives: meanwhile readers take it for dead, and store the row as it was.
#[tokio::test]
async fn a_write_that_outlives_its_intent_takes_away_what_was_stored_meanwhile() {
    for kind in [Kind::Fenced, Kind::Strict] {
        for end in [End::Ok, End::Err, End::Panic, End::Drop] {
            let clock = ManualClock::new();
            let cache = Cache::builder().clock(&clock).build().await.unwrap();
            let write = async {
                let db = Db::new();
                let change = Change::to("New").ends(end);
                change.before.close();
                let write = kind.start(&db, &change);
                change.before.arrived(1).await;
                clock.advance(Duration::from_secs(60));
                load(&db, 7).await;
                assert_eq!(cached_name().await.as_deref(), Some("Old"));
                change.before.open();
                change.after.arrived(1).await;
                if end == End::Drop {
                    write.abort();
                }
                let _ = within(write).await;
                assert_eq!(cached_name().await, None, "{kind:?}, {end:?}");
            };
            cache.scope(write).await;
        }
    }
}

async fn faulty() -> (Cache, Faults) {
    let (backend, faults) = Faulty::new(Memory::new());
    let builder = Cache::builder().backend(backend);
    let builder = builder.operation_timeout(Duration::from_millis(20));
    (builder.build().await.unwrap(), faults)
}

const FAULTS: [Fault; 3] = [Fault::Down, Fault::Hung, Fault::Refusing];

/// The backend fails while the body runs. The caller is not told, and the old value is not served again.
#[tokio::test]
async fn a_value_that_cannot_be_stored_after_the_commit_leaves_an_invalidated_key() {
    for kind in Kind::ALL {
        for fault in FAULTS {
            let (cache, faults) = faulty().await;
            let read = cache.clone();
            let write = async {
                let db = Db::new();
                load(&db, 7).await;
                let change = Change::held("New");
                let write = kind.start(&db, &change);
                change.after.arrived(1).await;
                faults.set(fault);
                change.after.open();
                let written = within(write).await.unwrap();
                assert_eq!(written.unwrap().name, "New", "{kind:?}, {fault}");
                assert_eq!(cache.stats().backend.undelivered_invalidations, 1);
                assert_eq!(load(&db, 7).await.name, "New", "{kind:?}, {fault}");
                faults.heal();
                eventually(DEADLINE, async || !cache.stats().backend.breaker_open).await;
                assert_eq!(cached_name().await, None, "{kind:?}, {fault}");
                assert_eq!(load(&db, 7).await.name, "New", "{kind:?}, {fault}");
            };
            read.scope(write).await;
            assert!(kind.stats(&cache).errors > 0, "{kind:?}, {fault}");
        }
    }
}

#[tokio::test]
async fn a_write_that_cannot_be_announced_runs_all_the_same_and_invalidates() {
    for fault in FAULTS {
        let (cache, faults) = faulty().await;
        let write = async {
            let db = Db::new();
            load(&db, 7).await;
            let change = Change::held("New");
            faults.set(fault);
            let write = Kind::Fenced.start(&db, &change);
            change.after.arrived(1).await;
            faults.heal();
            eventually(DEADLINE, async || cache.ping().await.is_ok()).await;
            change.after.open();
            assert_eq!(within(write).await.unwrap().unwrap().name, "New", "{fault}");
            eventually(DEADLINE, async || !cache.stats().backend.breaker_open).await;
            assert_eq!(cached_name().await, None, "{fault}");
        };
        cache.clone().scope(write).await;
    }
}

#[tokio::test]
async fn a_strict_write_that_cannot_be_announced_is_refused_before_its_body() {
    for fault in FAULTS {
        let (cache, faults) = faulty().await;
        faults.set(fault);
        let db = Db::new();
        let refused = cache.scope(strict(&db, 7, Change::to("New"))).await;
        assert_eq!(refused, Err(DbError::Refused), "{fault}");
        assert_eq!(db.row().name, "Old", "{fault}");
        assert_eq!(Kind::Strict.stats(&cache).writes, 0, "{fault}");
    }
}

/// A cache that gives up on an operation at once, behind a proxy that holds the operation back and lets it through later.
async fn impatient() -> (RedisServer, Proxy, Cache) {
    let server = RedisServer::start().await;
    let proxy = Proxy::before(&server).await;
    let builder = Cache::builder().url(&proxy.url()).unwrap();
    let builder = builder.operation_timeout(Duration::from_millis(100));
    // An intent that is left behind stays for longer than any test waits.
    let builder = builder.intent_ttl(Duration::from_secs(3600));
    (server, proxy, builder.build().await.unwrap())
}

#[tokio::test]
async fn a_store_that_arrives_late_is_followed_by_its_invalidation() {
    for kind in Kind::ALL {
        let (_server, proxy, cache) = impatient().await;
        let write = async {
            let db = Db::new();
            // The scripts have to be known, or the late store is refused.
            kind.write(&db, Change::to("First")).await.unwrap();
            let change = Change::held("New");
            let write = kind.start(&db, &change);
            change.after.arrived(1).await;
            proxy.hang();
            change.after.open();
            within(write).await.unwrap().unwrap();
            proxy.pass();
            eventually(DEADLINE, async || !cache.stats().backend.breaker_open).await;
            assert_eq!(cached_name().await, None, "{kind:?}");
        };
        cache.clone().scope(write).await;
    }
}

/// The intent arrives after a later write has come and gone, and then stands alone: what the earlier write knew is old.
#[tokio::test]
async fn a_write_whose_intent_arrived_late_stores_nothing() {
    let (server, proxy, cache) = impatient().await;
    let other = tests::on_redis(&server).await;
    let db = Db::new();
    let earlier = Change::held("Earlier");
    // The scripts have to be known, or the late intent is refused instead of placed.
    other
        .scope(fenced(&db, 7, Change::to("First")))
        .await
        .unwrap();
    proxy.hang();
    let write = Kind::Fenced.start_on(&cache, &db, &earlier);
    earlier.after.arrived(1).await;
    other
        .scope(fenced(&db, 7, Change::to("Later")))
        .await
        .unwrap();
    assert_eq!(other.scope(cached_name()).await.as_deref(), Some("Later"));
    proxy.pass();
    let placed = async || other.scope(cached_name()).await.is_none();
    eventually(DEADLINE, placed).await;
    earlier.after.open();
    assert_eq!(within(write).await.unwrap().unwrap().name, "Earlier");
    assert_eq!(other.scope(cached_name()).await, None);
    other.scope(load(&db, 7)).await;
    let left = other.scope(cached_name()).await;
    assert_eq!(left.as_deref(), Some("Later"), "its intent is gone too");
}

#[tokio::test]
async fn a_call_dropped_while_it_is_announced_leaves_no_intent() {
    let (_server, proxy, cache) = impatient().await;
    cache
        .scope(async {
            let db = Db::new();
            fenced(&db, 7, Change::to("First")).await.unwrap();
            proxy.hang_replies();
            let call = fenced(&db, 7, Change::to("Second"));
            let dropped = tokio::time::timeout(Duration::ZERO, once_begun(call, || {}));
            assert!(dropped.await.is_err());
            proxy.pass();
            eventually(DEADLINE, async || {
                load(&db, 7).await;
                cached_name().await.is_some()
            })
            .await;
            assert_eq!(db.row().name, "First", "its body has not run");
        })
        .await;
}
