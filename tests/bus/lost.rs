//! Events that are lost to a region: it invalidates its namespace.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache_runtime::backend::Token;
use cache_runtime::bus::{Bus, Event, Group, MemoryBus, Published, What};
use cache_runtime::{Cache, CacheBuilder};
use tests::{DEADLINE, FaultyBus, Logs, RedisServer, redis_builder};

use crate::world::*;

fn short(builder: CacheBuilder, bus: impl Bus, name: &str) -> CacheBuilder {
    let options = quick().retention(Duration::from_secs(600), 5);
    builder.bus(bus, name).unwrap().bus_options(options)
}

#[tokio::test]
async fn a_region_that_was_away_for_longer_than_the_bus_keeps_events_flushes_what_it_cannot_know() {
    let (bus, one, other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start()
    );
    let (database, logs) = (Database::default(), Logs::capture());
    let here = short(redis_builder(&one), redis_bus(&bus).await, "here");
    let here = here.build().await.unwrap();
    let there = region(&other, redis_bus(&bus).await, "there").await;
    fill(&there, &database, 1).await;
    fill(&there, &database, 2).await;
    drop(there);
    let lost = async || bus_of(&here).lost_groups == 1;
    for id in 10.. {
        if lost().await {
            break;
        }
        here.invalidate(item::key(id)).await.unwrap();
        here.flush_events(DEADLINE).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(logs.text().contains("too far behind"), "{}", logs.text());
    let looker = looker(&other).await;
    assert!(has(&looker, 1).await && has(&looker, 2).await);
    let back = region(&other, redis_bus(&bus).await, "there").await;
    assert_eq!(bus_of(&back).flushes, 1);
    assert!(!has(&looker, 1).await && !has(&looker, 2).await);
}

#[tokio::test]
async fn a_slow_region_is_not_lost_while_there_is_room() {
    let (bus, one, other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start()
    );
    let database = Database::default();
    let here = region(&one, redis_bus(&bus).await, "here").await;
    // It looks at the bus between its attempts.
    let there = Cache::builder().url(&other.url()).unwrap();
    let there = there.operation_timeout(Duration::from_millis(500));
    let there = build(there, redis_bus(&bus).await, "there").await;
    for id in 0..20 {
        fill(&there, &database, id).await;
    }
    other.pause();
    for id in 0..20 {
        here.invalidate(item::key(id)).await.unwrap();
        here.flush_events(DEADLINE).await.unwrap();
    }
    // Its own region has read them all and trims.
    until(&here, |bus| bus.skipped > 0 && bus.backlog == 0).await;
    until(&there, |bus| bus.backlog > 0).await;
    other.resume();
    for id in 0..20 {
        gone(&there, id).await;
    }
    let bus = bus_of(&there);
    assert_eq!((bus.flushes, bus.lost_groups), (1, 0), "{bus:?}");
}

#[tokio::test]
async fn a_bus_that_has_lost_everything_costs_every_region_a_flush() {
    let bus = MemoryBus::new();
    let here = memory_region(bus.clone(), "here").await;
    let there = memory_region(bus.clone(), "there").await;
    let database = Database::default();
    fill(&here, &database, 1).await;
    fill(&there, &database, 1).await;
    bus.forget();
    gone(&here, 1).await;
    gone(&there, 1).await;
    fill(&there, &database, 2).await;
    here.invalidate(item::key(2)).await.unwrap();
    gone(&there, 2).await;
}

/// A flush before it would leave a gap: nobody tells of what was published before the group, and nothing removes what was loaded after the flush.
#[tokio::test]
async fn a_region_is_flushed_after_its_group_is_made() {
    let (bus, server) = tokio::join!(RedisServer::start(), RedisServer::start());
    let (looker, database) = (looker(&server).await, Database::default());
    let (faulty, faults) = FaultyBus::new(redis_bus(&bus).await);
    faults.before_join.set({
        let (looker, database, raw) = (looker.clone(), database.clone(), redis_bus(&bus).await);
        async move {
            fill(&looker, &database, 1).await;
            database.change();
            let event = Event {
                origin: Group::of_region("there").unwrap(),
                is_for_origin: false,
                waited: Duration::ZERO,
                what: What::Keys(vec![item::key(1)]),
            };
            let published = raw.publish(Token::fresh(), 1, &[event]).await.unwrap();
            assert_eq!(published, Published::Done);
        }
    });
    let cache = region(&server, faulty, "here").await;
    until(&cache, |bus| bus.flushes == 1).await;
    assert_eq!(fill(&looker, &database, 1).await, database.now());
}

/// As after a failover to a copy that was behind: the groups are there, and nobody of them can know.
#[tokio::test]
async fn a_sender_finds_out_that_its_events_were_lost() {
    let (bus, one, other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start()
    );
    let here = region(&one, redis_bus(&bus).await, "here").await;
    let there = region(&other, redis_bus(&bus).await, "there").await;
    let database = Database::default();
    here.invalidate(item::key(1)).await.unwrap();
    until(&there, |bus| bus.applied == 1).await;
    fill(&there, &database, 2).await;
    let senders: Vec<String> = bus.query(redis::cmd("KEYS").arg("*/p:*")).await;
    assert_eq!(senders.len(), 1);
    let () = bus.query(redis::cmd("DEL").arg(&senders)).await;
    gone(&there, 2).await;
    let (here, there) = (bus_of(&here), bus_of(&there));
    assert_eq!((here.overflows, here.flushes, there.flushes), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_always_says_that_it_has_lost_something_is_not_asked_without_a_pause() {
    let (bus, faults) = FaultyBus::new(MemoryBus::new());
    let cache = memory_region(bus, "here").await;
    faults.forgets_always.store(true, SeqCst);
    cache.invalidate(item::key(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let asked = bus_of(&cache).overflows;
    assert!((10..40).contains(&asked), "{asked}");
    faults.forgets_always.store(false, SeqCst);
    cache.flush_events(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn an_event_that_cannot_be_read_costs_a_flush() {
    let (bus, server) = tokio::join!(RedisServer::start(), RedisServer::start());
    let cache = region(&server, redis_bus(&bus).await, "here").await;
    let database = Database::default();
    for (at, fields) in [&["e", "\u{2}later"][..], &["x", "y"]]
        .into_iter()
        .enumerate()
    {
        fill(&cache, &database, 1).await;
        let mut add = redis::cmd("XADD");
        let add = add.arg("{cache/bus}").arg("*").arg(fields);
        let _: String = bus.query(add).await;
        gone(&cache, 1).await;
        let unreadable = at as u64 + 1;
        until(&cache, |bus| {
            bus.unreadable == unreadable && bus.backlog == 0
        })
        .await;
    }
    assert_eq!(bus_of(&cache).flushes, 3);
}

#[tokio::test]
async fn events_that_somebody_else_has_removed_cost_a_flush() {
    let (bus, server) = tokio::join!(RedisServer::start(), RedisServer::start());
    let cache = region(&server, redis_bus(&bus).await, "here").await;
    let database = Database::default();
    fill(&cache, &database, 1).await;
    drop(cache);
    let stream = "{cache/bus}";
    let processes = async || {
        let mut info = redis::cmd("XINFO");
        let info = info.arg("CONSUMERS").arg(stream).arg("here");
        bus.query::<Vec<redis::Value>>(info).await.len()
    };
    tests::eventually(DEADLINE, async || processes().await == 0).await;
    let other = Cache::builder();
    let other = build(other, redis_bus(&bus).await, "there").await;
    other.invalidate(item::key(1)).await.unwrap();
    other.flush_events(DEADLINE).await.unwrap();
    drop(other);
    let () = bus
        .query(redis::cmd("XTRIM").arg(stream).arg("MAXLEN").arg(0))
        .await;
    let back = region(&server, redis_bus(&bus).await, "here").await;
    gone(&back, 1).await;
    until(&back, |bus| bus.flushes == 1).await;
}
