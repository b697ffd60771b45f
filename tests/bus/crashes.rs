//! Processes that read events and do nothing more.

use std::time::Duration;

use cache_runtime::backend::Token;
use cache_runtime::bus::{Bus, Group, Read};
use cache_runtime::{BusOptions, Cache};
use tests::{RedisServer, eventually, redis_builder};

use crate::world::*;

/// Has a process of the region that is about to die read all that it has before it.
async fn read_and_die(bus: &impl Bus, region: &str) -> usize {
    let group = Group::of_region(region).unwrap();
    let read = bus.read(&group, Token::fresh(), Read::New, 100, Duration::ZERO);
    read.await.unwrap().expect("a group").len()
}

#[tokio::test]
async fn a_process_that_never_takes_over_reads_all_the_same() {
    let server = RedisServer::start().await;
    let never = BusOptions::new().retention(Duration::MAX, 1000);
    let never = never.takeover(Duration::MAX);
    let region = async |name| {
        let builder = Cache::builder().bus(redis_bus(&server).await, name);
        let builder = builder.unwrap().bus_options(never.clone());
        builder.build().await.unwrap()
    };
    let (here, there) = (region("here").await, region("there").await);
    let database = Database::default();
    fill(&there, &database, 1).await;
    here.invalidate(item::key(1)).await.unwrap();
    gone(&there, 1).await;
}

#[tokio::test]
async fn another_process_takes_over_what_one_had_read_when_it_died() {
    let (bus, one, other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start()
    );
    let here = region(&one, redis_bus(&bus).await, "here").await;
    let there = region(&other, redis_bus(&bus).await, "there").await;
    let database = Database::default();
    fill(&there, &database, 1).await;
    drop(there);
    let raw = redis_bus(&bus).await;
    // It has ended when it does not read any more.
    eventually(tests::DEADLINE, async || {
        here.invalidate(item::key(1)).await.unwrap();
        here.flush_events(tests::DEADLINE).await.unwrap();
        read_and_die(&raw, "there").await > 0
    })
    .await;
    let looker = looker(&other).await;
    fill(&looker, &database, 1).await;
    let next = region(&other, raw, "there").await;
    until(&next, |bus| bus.taken_over > 0).await;
    gone(&looker, 1).await;
    let bus = bus_of(&next);
    assert_eq!(bus.flushes, 0, "nothing was missed: {bus:?}");
}

#[tokio::test]
async fn a_flush_that_a_process_did_not_come_to_is_done_by_another() {
    let (bus, server) = tokio::join!(RedisServer::start(), RedisServer::start());
    let database = Database::default();
    let looker = looker(&server).await;
    fill(&looker, &database, 1).await;
    // It has made the group, and then it dies.
    let raw = redis_bus(&bus).await;
    let group = Group::of_region("here").unwrap();
    raw.join(&group).await.unwrap().expect("a flush is owed");
    let cache = region(&server, raw, "here").await;
    assert!(!has(&looker, 1).await);
    assert_eq!(bus_of(&cache).flushes, 1);
}

#[tokio::test]
async fn a_process_that_ends_leaves_no_trace_on_the_bus() {
    let (bus, server) = tokio::join!(RedisServer::start(), RedisServer::start());
    let cache = region(&server, redis_bus(&bus).await, "here").await;
    cache.invalidate(item::key(1)).await.unwrap();
    until(&cache, |bus| bus.skipped == 1).await;
    let alone = Cache::builder();
    let alone = build(alone, redis_bus(&bus).await, "here").await;
    let processes = async || {
        let mut info = redis::cmd("XINFO");
        let info = info.arg("CONSUMERS").arg("{cache/bus}").arg("here");
        bus.query::<Vec<redis::Value>>(info).await.len()
    };
    let groups = async || {
        let mut info = redis::cmd("XINFO");
        let info = info.arg("GROUPS").arg("{cache/bus}");
        bus.query::<Vec<redis::Value>>(info).await.len()
    };
    assert_eq!((processes().await, groups().await), (1, 2));
    drop((cache, alone));
    eventually(tests::DEADLINE, async || {
        (processes().await, groups().await) == (0, 1)
    })
    .await;
}

/// A dropped cache ends its tasks, also while they wait.
#[tokio::test]
async fn the_tasks_end_with_the_cache() {
    let (bus, server) = tokio::join!(RedisServer::start(), RedisServer::start());
    let cache = redis_builder(&server);
    let cache = build(cache, redis_bus(&bus).await, "here").await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let with = metrics.num_alive_tasks();
    drop(cache);
    eventually(tests::DEADLINE, async || {
        metrics.num_alive_tasks() + 2 <= with
    })
    .await;
}
