//! The bus is away, or the store of a region is.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache_runtime::backend::Memory;
use cache_runtime::bus::{MemoryBus, RedisBus};
use cache_runtime::testing::{Fault, Faulty};
use cache_runtime::{Cache, Error};
use tests::{DEADLINE, FaultyBus, Logs, Proxy, RedisServer, eventually, within};

use crate::world::*;

#[tokio::test]
async fn no_call_waits_for_a_bus_that_hangs() {
    let (bus, faults) = FaultyBus::new(MemoryBus::new());
    let here = memory_region(bus.clone(), "here").await;
    let there = memory_region(bus, "there").await;
    let database = Database::default();
    fill(&there, &database, 1).await;
    faults.hangs.store(true, SeqCst);
    within(async {
        for id in 0..1000 {
            here.invalidate(item::key(id)).await.unwrap();
        }
        fill(&here, &database, 1).await;
    })
    .await;
    assert!(has(&there, 1).await);
    assert_eq!(bus_of(&here).outbox, 1000);
    let unpublished = here.flush_events(Duration::from_millis(10)).await;
    assert!(
        matches!(unpublished, Err(Error::Unpublished(1000))),
        "{unpublished:?}"
    );
    let report = here.shutdown(Duration::from_millis(10)).await;
    assert_eq!(report.unpublished, 1000);
    faults.hangs.store(false, SeqCst);
    here.flush_events(DEADLINE).await.unwrap();
    // "Everything" is one, also while it is being sent.
    faults.hangs.store(true, SeqCst);
    here.bump_namespace().await.unwrap();
    let unpublished = here.flush_events(Duration::from_millis(10)).await;
    assert!(
        matches!(unpublished, Err(Error::Unpublished(1))),
        "{unpublished:?}"
    );
    faults.hangs.store(false, SeqCst);
    here.flush_events(DEADLINE).await.unwrap();
    gone(&there, 1).await;
}

#[tokio::test]
async fn what_waited_for_the_bus_arrives_when_it_is_back() {
    let (mut bus, one, other) = tokio::join!(
        RedisServer::builder().append_only().start(),
        RedisServer::start(),
        RedisServer::start()
    );
    let here = region(&one, redis_bus(&bus).await, "here").await;
    let there = region(&other, redis_bus(&bus).await, "there").await;
    let database = Database::default();
    fill(&there, &database, 1).await;
    fill(&there, &database, 2).await;
    bus.kill();
    here.invalidate(item::key(1)).await.unwrap();
    here.invalidate(item::key(1)).await.unwrap();
    until(&here, |bus| bus.failed_sends > 0 && bus.outbox <= 2).await;
    bus.restart().await;
    gone(&there, 1).await;
    assert!(has(&there, 2).await, "with its data the bus costs no flush");
    assert_eq!(bus_of(&there).flushes, 1, "that of its beginning");
}

#[tokio::test]
async fn a_cache_starts_without_a_bus_and_joins_it_later() {
    let (mut bus, one, other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start()
    );
    bus.kill();
    let here = region(&one, redis_bus(&bus).await, "here").await;
    let there = region(&other, redis_bus(&bus).await, "there").await;
    let database = Database::default();
    fill(&there, &database, 1).await;
    here.invalidate(item::key(2)).await.unwrap();
    bus.restart().await;
    // What it missed until now it cannot know.
    gone(&there, 1).await;
    fill(&there, &database, 1).await;
    here.invalidate(item::key(1)).await.unwrap();
    gone(&there, 1).await;
}

/// As a proxy whose server was replaced: its connections stay, and nothing comes over them.
#[tokio::test]
async fn a_bus_that_takes_everything_and_answers_nothing_is_left_for_a_new_connection() {
    let (bus, one, other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start()
    );
    let proxy = Proxy::before(&bus).await;
    let through = RedisBus::from_url(&proxy.url()).unwrap();
    let through = through.connect().await.unwrap();
    let here = region(&one, through.clone(), "here").await;
    let there = region(&other, through, "there").await;
    let database = Database::default();
    fill(&there, &database, 1).await;
    let connections = proxy.accepted();
    proxy.strand();
    here.invalidate(item::key(1)).await.unwrap();
    gone(&there, 1).await;
    assert!(proxy.accepted() >= connections + 2, "both are new");
    assert_eq!(bus_of(&there).flushes, 1, "that of its beginning");
    until(&here, |bus| bus.outbox == 0 && bus.backlog == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_away_for_long_is_told_once() {
    let logs = Logs::capture();
    let warnings = || logs.count("WARN cache_runtime::events");
    let (bus, faults) = FaultyBus::new(MemoryBus::new());
    let cache = memory_region(bus, "here").await;
    faults.refuses.store(true, SeqCst);
    cache.invalidate(item::key(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(warnings(), 0, "{}", logs.text());
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(warnings(), 1, "{}", logs.text());
    faults.refuses.store(false, SeqCst);
    cache.flush_events(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn what_the_bus_refuses_is_told_once() {
    let logs = Logs::capture();
    let (bus, server) = tokio::join!(RedisServer::start(), RedisServer::start());
    let right = |right: &str| {
        let mut set = redis::cmd("ACL");
        set.arg(&["SETUSER", "default", right]);
        set
    };
    let () = bus.query(&right("-xadd")).await;
    let cache = region(&server, redis_bus(&bus).await, "here").await;
    for id in 0..3 {
        cache.invalidate(item::key(id)).await.unwrap();
    }
    until(&cache, |bus| bus.failed_sends > 2).await;
    let warnings = logs.count("WARN cache_runtime::events");
    assert_eq!(warnings, 1, "{}", logs.text());
    // Once that is put right, it goes on by itself.
    let () = bus.query(&right("+xadd")).await;
    cache.flush_events(DEADLINE).await.unwrap();
    until(&cache, |bus| bus.backlog == 0).await;
}

#[tokio::test]
async fn a_bus_that_panics_is_tried_again() {
    let logs = Logs::capture();
    let (bus, faults) = FaultyBus::new(MemoryBus::new());
    let here = memory_region(bus.clone(), "here").await;
    let there = memory_region(bus, "there").await;
    let database = Database::default();
    fill(&there, &database, 1).await;
    faults.panics.store(true, SeqCst);
    here.invalidate(item::key(1)).await.unwrap();
    for problem in ["are not published", "are not carried out"] {
        eventually(DEADLINE, async || {
            let text = logs.text();
            let mut errors = text.lines().filter(|line| line.contains("ERROR"));
            errors.any(|line| line.contains(problem) && line.contains("as told by the test"))
        })
        .await;
    }
    faults.panics.store(false, SeqCst);
    gone(&there, 1).await;
    until(&here, |bus| bus.outbox == 0).await;
}

#[tokio::test]
async fn an_event_is_acknowledged_only_when_the_store_has_done_it() {
    let (bus, one, mut other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::builder().append_only().start()
    );
    let here = region(&one, redis_bus(&bus).await, "here").await;
    let there = region(&other, redis_bus(&bus).await, "there").await;
    let database = Database::default();
    fill(&there, &database, 1).await;
    other.kill();
    here.invalidate(item::key(1)).await.unwrap();
    here.flush_events(DEADLINE).await.unwrap();
    until(&there, |bus| bus.backlog == 1).await;
    assert_eq!(bus_of(&there).applied, 0);
    other.restart().await;
    until(&there, |bus| bus.applied == 1 && bus.backlog == 0).await;
    assert!(!has(&looker(&other).await, 1).await);
}

/// The time that a caller gives an answer is not the time that it needs.
#[tokio::test]
async fn a_store_that_answers_late_is_not_taken_for_one_that_is_away() {
    let bus = MemoryBus::new();
    let here = memory_region(bus.clone(), "here").await;
    let (store, faults) = Faulty::new(Memory::new());
    let there = Cache::builder().backend(store);
    let there = there.operation_timeout(Duration::from_millis(1));
    let there = build(there, bus, "there").await;
    let database = Database::default();
    fill(&there, &database, 1).await;
    faults.set(Fault::Slow(Duration::from_millis(100)));
    here.invalidate(item::key(1)).await.unwrap();
    until(&there, |bus| bus.applied == 1 && bus.backlog == 0).await;
    let store = there.stats().backend;
    assert_eq!(
        (store.breaker_openings, store.undelivered_invalidations),
        (0, 0)
    );
    faults.heal();
    assert!(!has(&there, 1).await);
}

#[tokio::test]
async fn an_invalidation_that_is_cancelled_comes_back_to_its_own_region() {
    let (store, faults) = Faulty::new(Memory::new());
    let cache = Cache::builder().backend(store).operation_timeout(DEADLINE);
    let cache = build(cache, MemoryBus::new(), "here").await;
    faults.set(Fault::Hung);
    let cancelled = tokio::time::timeout(Duration::ZERO, cache.invalidate(item::key(1)));
    assert!(cancelled.await.is_err());
    faults.heal();
    until(&cache, |bus| bus.applied == 1 && bus.backlog == 0).await;
}

/// Also if the process that kept it is gone.
#[tokio::test]
async fn what_a_region_could_not_do_itself_comes_back_to_it() {
    let (bus, mut server) = tokio::join!(
        RedisServer::start(),
        RedisServer::builder().append_only().start()
    );
    let builder = || Cache::builder().url(&server.url()).unwrap();
    let kept = build(builder(), redis_bus(&bus).await, "here").await;
    let other = build(builder(), redis_bus(&bus).await, "here").await;
    let database = Database::default();
    fill(&other, &database, 1).await;
    server.kill();
    // A connection may not have noticed yet.
    eventually(DEADLINE, async || {
        matches!(kept.invalidate(item::key(1)).await, Err(Error::Kept(_)))
    })
    .await;
    kept.flush_events(DEADLINE).await.unwrap();
    drop(kept);
    server.restart().await;
    until(&other, |bus| bus.applied > 0 && bus.backlog == 0).await;
    assert!(!has(&looker(&server).await, 1).await);
}
