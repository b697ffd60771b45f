//! Two regions and a bus.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::bus::{Bus, MemoryBus, RedisBus};
use cache_runtime::{BusOptions, BusStats, Cache, CacheBuilder, cached};
use tests::{DEADLINE, RedisServer, eventually, in_memory, redis_builder, within};

/// What is cached: the number that the database has now.
#[cached(key = "item:<id>", ttl = 3600)]
pub(crate) async fn item(database: &Database, id: u64) -> u64 {
    let _ = id;
    database.0.load(SeqCst)
}

/// A database with one number, which all rows show.
#[derive(Debug, Clone, Default)]
pub(crate) struct Database(std::sync::Arc<AtomicU64>);

impl Database {
    pub(crate) fn change(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

/// Takes over and trims soon: no test waits long for it.
pub(crate) fn quick() -> BusOptions {
    BusOptions::new()
        .takeover(Duration::from_millis(100))
        .trim_every(Duration::from_millis(20))
}

pub(crate) async fn redis_bus(server: &RedisServer) -> RedisBus {
    let bus = RedisBus::from_url(&server.url()).unwrap();
    bus.connect().await.unwrap()
}

/// A cache of the region whose server this is.
pub(crate) async fn region(server: &RedisServer, bus: impl Bus, name: &str) -> Cache {
    build(redis_builder(server), bus, name).await
}

pub(crate) async fn build(builder: CacheBuilder, bus: impl Bus, name: &str) -> Cache {
    let builder = builder.bus(bus, name).unwrap().bus_options(quick());
    builder.build().await.unwrap()
}

/// A cache whose store is its own memory.
pub(crate) async fn memory_region(bus: impl Bus, name: &str) -> Cache {
    build(Cache::builder(), bus, name).await
}

/// Runs the test with two regions in memory, and then with two on servers of their own.
pub(crate) async fn on_each_bus(test: impl AsyncFn(Cache, Cache)) {
    println!("in memory:");
    let bus = MemoryBus::new();
    let here = memory_region(bus.clone(), "here").await;
    let there = memory_region(bus, "there").await;
    within(test(here, there)).await;
    println!("on Redis:");
    let (bus, one, other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start()
    );
    let here = region(&one, redis_bus(&bus).await, "here").await;
    let there = region(&other, redis_bus(&bus).await, "there").await;
    within(test(here, there)).await;
}

pub(crate) fn bus_of(cache: &Cache) -> BusStats {
    cache.stats().bus.expect("a cache with a bus")
}

/// Reads the item there, so that it is cached there.
pub(crate) async fn fill(cache: &Cache, database: &Database, id: u64) -> u64 {
    cache.scope(item(database, id)).await
}

/// Whether the cache has an entry.
pub(crate) async fn has(cache: &Cache, id: u64) -> bool {
    cache.scope(item::peek(id)).await.is_some()
}

/// Waits until the cache has no entry.
#[track_caller]
pub(crate) fn gone(cache: &Cache, id: u64) -> impl Future<Output = ()> {
    eventually(DEADLINE, move || async move { !has(cache, id).await })
}

/// Waits until the figures are so.
#[track_caller]
pub(crate) fn until(cache: &Cache, are: impl Fn(&BusStats) -> bool) -> impl Future<Output = ()> {
    eventually(DEADLINE, move || std::future::ready(are(&bus_of(cache))))
}

/// A cache without a bus on the same server: what it sees is there.
pub(crate) async fn looker(server: &RedisServer) -> Cache {
    redis_builder(server).build().await.unwrap()
}

#[tokio::test]
async fn a_cache_without_a_bus_has_no_figures_of_one_and_waits_for_none() {
    let cache = in_memory().await;
    cache.invalidate("a").await.unwrap();
    cache.flush_events(Duration::ZERO).await.unwrap();
    assert!(cache.stats().bus.is_none());
}
