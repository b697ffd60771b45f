//! What is invalidated in one region is removed in the other, once.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache_runtime::bus::{MemoryBus, RedisBus};
use cache_runtime::{BusOptions, Cache, Error, ManualClock, cached};
use tests::{DEADLINE, FaultyBus, Gate, RedisServer, eventually};

use crate::world::*;

#[tokio::test]
async fn an_invalidation_here_removes_the_entry_there() {
    on_each_bus(async |here, there| {
        let database = Database::default();
        fill(&there, &database, 1).await;
        fill(&there, &database, 2).await;
        database.change();
        here.invalidate(item::key(1)).await.unwrap();
        gone(&there, 1).await;
        assert!(has(&there, 2).await, "only what was invalidated");
        assert_eq!(fill(&there, &database, 1).await, database.now());
        until(&there, |bus| bus.applied == 1 && bus.backlog == 0).await;
        let bus = bus_of(&there);
        assert!(
            bus.lag > Duration::ZERO && bus.lag <= bus.lag_p99,
            "{bus:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_load_there_from_before_the_event_is_not_stored_after_it() {
    on_each_bus(async |here, there| {
        let database = Database::default();
        let gate = Gate::new();
        let slow = tokio::spawn({
            let (there, database, gate) = (there.clone(), database.clone(), gate.clone());
            async move { there.scope(slow_item(&database, 1, &gate)).await }
        });
        gate.arrived(1).await;
        database.change();
        here.invalidate(item::key(1)).await.unwrap();
        until(&there, |bus| bus.applied == 1).await;
        gate.open();
        assert_eq!(slow.await.unwrap(), 0, "its caller began before the change");
        assert!(!has(&there, 1).await);
    })
    .await;
}

#[tokio::test]
async fn events_do_not_go_round() {
    on_each_bus(async |here, there| {
        here.invalidate(item::key(1)).await.unwrap();
        there.invalidate(item::key(2)).await.unwrap();
        for cache in [&here, &there] {
            until(cache, |bus| bus.applied == 1 && bus.skipped == 1).await;
        }
        // What went round would come before this.
        here.invalidate(item::key(3)).await.unwrap();
        until(&there, |bus| bus.applied == 2).await;
        until(&here, |bus| bus.skipped == 2).await;
        for (cache, published, applied) in [(&here, 2, 1), (&there, 1, 2)] {
            let bus = bus_of(cache);
            let counts = (bus.published, bus.applied, bus.outbox);
            assert_eq!(counts, (published, applied, 0), "{bus:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_process_of_a_region_does_it_for_all() {
    let (bus, one, other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start()
    );
    let here = region(&one, redis_bus(&bus).await, "here").await;
    let first = region(&other, redis_bus(&bus).await, "there").await;
    let second = region(&other, redis_bus(&bus).await, "there").await;
    let database = Database::default();
    fill(&first, &database, 1).await;
    here.invalidate(item::key(1)).await.unwrap();
    gone(&second, 1).await;
    let applied = || bus_of(&first).applied + bus_of(&second).applied;
    eventually(DEADLINE, async || applied() == 1).await;
    assert_eq!(bus_of(&first).group, "there");
}

#[tokio::test]
async fn processes_with_stores_of_their_own_tell_each_other_also_within_a_region() {
    let bus = MemoryBus::new();
    let one = memory_region(bus.clone(), "here").await;
    let other = memory_region(bus.clone(), "here").await;
    let database = Database::default();
    fill(&other, &database, 1).await;
    one.invalidate(item::key(1)).await.unwrap();
    gone(&other, 1).await;
    until(&one, |bus| bus.skipped == 1).await;
    assert_ne!(bus_of(&one).group, bus_of(&other).group);
    // And when one of them ends nobody waits for it.
    drop(other);
    one.invalidate(item::key(2)).await.unwrap();
    until(&one, |bus| bus.skipped == 2).await;
    eventually(DEADLINE, async || bus.is_empty()).await;
}

#[tokio::test]
async fn what_was_acknowledged_by_all_does_not_stay_on_the_bus() {
    let (bus, one, other) = tokio::join!(
        RedisServer::start(),
        RedisServer::start(),
        RedisServer::start()
    );
    let here = region(&one, redis_bus(&bus).await, "here").await;
    let _there = region(&other, redis_bus(&bus).await, "there").await;
    for id in 0..20 {
        here.invalidate(item::key(id)).await.unwrap();
        here.flush_events(DEADLINE).await.unwrap();
    }
    assert!(bus_of(&here).published > 0);
    eventually(DEADLINE, async || {
        let length: u64 = bus.query(redis::cmd("XLEN").arg("{cache/bus}")).await;
        length == 0
    })
    .await;
}

#[tokio::test]
async fn lags_and_ages_are_by_the_clocks_of_the_bus_and_the_outbox() {
    let clock = ManualClock::new();
    let (bus, faults) = FaultyBus::new(MemoryBus::with_clock(&clock));
    // Not the quick options: by the clock of the bus the groups are silent for all that time.
    let region = async |name| {
        let builder = Cache::builder().clock(&clock);
        builder
            .bus(bus.clone(), name)
            .unwrap()
            .build()
            .await
            .unwrap()
    };
    let (here, there) = (region("here").await, region("there").await);
    faults.refuses.store(true, SeqCst);
    here.invalidate(item::key(1)).await.unwrap();
    clock.advance(Duration::from_secs(10));
    until(&here, |bus| bus.failed_sends > 0).await;
    clock.advance(Duration::from_secs(5));
    faults.refuses.store(false, SeqCst);
    until(&there, |bus| bus.applied > 0 && bus.backlog == 0).await;
    let lag = bus_of(&there).lag;
    assert!(lag >= Duration::from_secs(15), "{lag:?}");
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named() {
    let too_long = "r".repeat(65);
    for (name, problem) in [
        ("", "is empty"),
        ("eu west", "has a ' '"),
        ("eu/1", "has a '/'"),
        (&too_long, "longer than 64"),
    ] {
        let error = Cache::builder().bus(MemoryBus::new(), name).unwrap_err();
        assert!(matches!(error, Error::Config(_)));
        let text = error.to_string();
        assert!(
            text.contains("region of the bus") && text.contains(problem),
            "{text}"
        );
    }
    for (options, place) in [
        (BusOptions::new().takeover(Duration::ZERO), "takeover"),
        (
            BusOptions::new().retention(Duration::from_secs(1), 10),
            "retention",
        ),
        (BusOptions::new().max_waiting(0), "max_waiting"),
    ] {
        let built = Cache::builder().bus_options(options).build().await;
        let text = built.unwrap_err().to_string();
        assert!(text.contains(place), "{text}");
    }
}

/// Two applications would else be one group to the bus, and each event of a region come to one of them only.
#[tokio::test]
async fn a_bus_of_another_namespace_than_the_store_is_refused() {
    let server = RedisServer::start().await;
    let built = async |of_bus: Option<&str>, of_cache: Option<&str>| {
        let mut bus = RedisBus::from_url(&server.url()).unwrap();
        if let Some(namespace) = of_bus {
            bus = bus.namespace(namespace);
        }
        let mut cache = Cache::builder().url(&server.url()).unwrap();
        if let Some(namespace) = of_cache {
            cache = cache.namespace(namespace);
        }
        let bus = bus.connect().await.unwrap();
        cache.bus(bus, "here").unwrap().build().await.map(drop)
    };
    for (of_bus, of_cache, names) in [
        (Some("shop"), Some("blog"), ["`shop`", "`blog`"]),
        (Some("shop"), None, ["`shop`", "`cache`"]),
        (None, Some("blog"), ["`cache`", "`blog`"]),
    ] {
        let error = built(of_bus, of_cache).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)));
        let text = error.to_string();
        assert!(names.iter().all(|name| text.contains(name)), "{text}");
    }
    built(Some("shop"), Some("shop")).await.unwrap();
    built(Some("cache"), None).await.unwrap();
    built(None, Some("cache")).await.unwrap();
}

#[cached(key = "item:<id>", ttl = 3600)]
async fn slow_item(database: &Database, id: u64, gate: &Gate) -> u64 {
    let _ = id;
    let seen = database.now();
    gate.pass().await;
    seen
}
