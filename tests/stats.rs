//! `Cache::stats`: what each figure counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::backend::Memory;
use cache_runtime::testing::{Fault, Faulty};
use cache_runtime::{Cache, FunctionStats, ManualClock, Spec, cached, carry, invalidates};
use tests::{
    DEADLINE, Gate, RedisServer, eventually, in_memory, on_each_backend, on_redis, within,
};

#[cached(key = "item:<id>", ttl = 60)]
async fn item(id: u64) -> u64 {
    id
}

#[invalidates("item:<id>")]
async fn write(id: u64) {
    let _ = id;
}

#[cached(key = "item:<id>")]
async fn text(id: u64) -> String {
    id.to_string()
}

#[cached(key = "fails:<id>")]
async fn fails(id: u64) -> Result<Option<u64>, String> {
    match id {
        0 => Ok(None),
        1 => Ok(Some(1)),
        _ => Err("no such id".into()),
    }
}

#[cached(key = "gated:<id>")]
async fn gated(gate: Gate, id: u64) -> u64 {
    gate.pass().await;
    id
}

#[cached(key = "timed:<id>")]
async fn timed(clock: ManualClock, id: u64, takes: Duration) -> Result<u64, ()> {
    clock.advance(takes);
    if id == 0 { Err(()) } else { Ok(id) }
}

fn of(cache: &Cache, spec: &'static Spec) -> FunctionStats {
    cache.stats().function(spec)
}

#[tokio::test]
async fn every_call_is_a_hit_or_a_miss() {
    on_each_backend(async |cache| {
        for id in [1, 1, 2, 1] {
            item(id).await;
        }
        let stats = of(&cache, item::SPEC);
        assert_eq!((stats.hits, stats.misses, stats.loads), (2, 2, 2));
        assert_eq!(
            (stats.load_errors, stats.coalesced, stats.rejected_fills),
            (0, 0, 0)
        );
        assert_eq!((stats.errors, stats.unreadable), (0, 0));
        assert!((stats.hit_ratio() - 0.5).abs() < f64::EPSILON);
    })
    .await;
}

#[tokio::test]
async fn a_function_that_was_not_called_has_all_zeroes() {
    let cache = in_memory().await;
    let stats = of(&cache, item::SPEC);
    assert_eq!(
        (stats.hits, stats.misses, stats.loads, stats.load_time),
        (0, 0, 0, Duration::ZERO)
    );
    assert!(stats.hit_ratio().abs() < f64::EPSILON);
    assert!(std::ptr::eq(stats.spec, item::SPEC));
    assert!(cache.stats().functions.is_empty() && cache.stats().named("item").is_none());
}

#[tokio::test]
async fn each_function_and_each_cache_has_figures_of_its_own() {
    let (one, other) = (in_memory().await, in_memory().await);
    one.scope(async { (item(1).await, item(1).await, text(2).await) })
        .await;
    other.scope(item(1)).await;
    assert_eq!(
        (of(&one, item::SPEC).misses, of(&one, item::SPEC).hits),
        (1, 1)
    );
    assert_eq!(
        (of(&one, text::SPEC).misses, of(&one, text::SPEC).hits),
        (1, 0)
    );
    assert_eq!(
        (of(&other, item::SPEC).misses, of(&other, item::SPEC).hits),
        (1, 0)
    );
    assert_eq!(one.stats().functions.len(), 2);
    assert_eq!(one.stats().named("item").unwrap().hits, 1);
}

#[tokio::test]
async fn errors_of_the_loader_are_counted_and_absences_are_none() {
    on_each_backend(async |cache| {
        for id in [0, 1, 2, 2] {
            let _ = fails(id).await;
        }
        let stats = of(&cache, fails::SPEC);
        assert_eq!(
            (stats.loads, stats.load_errors, stats.misses, stats.errors),
            (4, 2, 4, 0)
        );
    })
    .await;
}

#[tokio::test]
async fn load_time_is_the_sum_of_what_all_loads_took() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    cache
        .scope(async {
            for (id, millis) in [(1, 250), (1, 999), (2, 30), (0, 5)] {
                let _ = timed(clock.clone(), id, Duration::from_millis(millis)).await;
            }
        })
        .await;
    // The second is a hit and loads nothing; the last fails and took its time all the same.
    assert_eq!(
        of(&cache, timed::SPEC).load_time,
        Duration::from_millis(285)
    );
    assert_eq!(of(&cache, timed::SPEC).loads, 3);
}

#[tokio::test]
async fn those_who_wait_for_anothers_load_are_coalesced() {
    on_each_backend(async |cache| {
        let gate = Gate::new();
        let leader = tokio::spawn(carry(gated(gate.clone(), 1)));
        gate.arrived(1).await;
        let waiters: Vec<_> = (0..9)
            .map(|_| tokio::spawn(carry(gated(gate.clone(), 1))))
            .collect();
        // The gate opens for whoever has asked the backend by then; the rest are hits.
        tokio::task::yield_now().await;
        gate.open();
        for call in waiters.into_iter().chain([leader]) {
            within(call).await.unwrap();
        }
        let stats = of(&cache, gated::SPEC);
        assert_eq!((stats.loads, stats.hits + stats.misses), (1, 10));
        assert_eq!(stats.coalesced + 1, stats.misses);
        if cache.stats().backend.name == "memory" {
            // In memory one turn of each task is enough to begin to wait.
            assert_eq!(stats.coalesced, 9);
        }
    })
    .await;
}

#[tokio::test]
async fn a_load_that_was_overtaken_by_an_invalidation_is_a_rejected_fill() {
    on_each_backend(async |cache| {
        let gate = Gate::new();
        let load = tokio::spawn(carry(gated(gate.clone(), 1)));
        gate.arrived(1).await;
        gated::invalidate(1).await.unwrap();
        gate.open();
        assert_eq!(within(load).await.unwrap(), 1);
        assert_eq!(of(&cache, gated::SPEC).rejected_fills, 1);
        gated(gate, 1).await;
        assert_eq!(of(&cache, gated::SPEC).rejected_fills, 1);
    })
    .await;
}

#[tokio::test]
async fn entries_that_cannot_be_used_are_counted_as_unreadable() {
    on_each_backend(async |cache| {
        item(1).await;
        text(1).await;
        let stats = of(&cache, text::SPEC);
        assert_eq!((stats.hits, stats.misses, stats.unreadable), (0, 1, 1));
        assert_eq!(of(&cache, item::SPEC).unreadable, 0);
    })
    .await;
}

#[tokio::test]
async fn a_load_that_panics_or_is_dropped_is_a_miss_and_a_load_and_no_load_error() {
    #[cached(key = "panics")]
    async fn panics() -> u64 {
        panic!("as told")
    }
    on_each_backend(async |cache| {
        tokio::spawn(carry(panics())).await.unwrap_err();
        let gate = Gate::new();
        let dropped = tokio::spawn(carry(gated(gate.clone(), 1)));
        gate.arrived(1).await;
        dropped.abort();
        dropped.await.unwrap_err();
        for spec in [panics::SPEC, gated::SPEC] {
            let stats = of(&cache, spec);
            assert_eq!(
                (stats.hits, stats.misses, stats.loads, stats.load_errors),
                (0, 1, 1, 0),
                "{}",
                spec.name()
            );
        }
    })
    .await;
}

#[tokio::test]
async fn operations_of_the_backend_that_fail_are_errors_and_the_calls_are_misses() {
    let (backend, faults) = Faulty::new(Memory::new());
    let cache = Cache::builder().backend(backend).build().await.unwrap();
    cache
        .scope(async {
            faults.set(Fault::Refusing);
            assert_eq!((item(1).await, item(1).await), (1, 1));
            let stats = of(&cache, item::SPEC);
            assert_eq!((stats.hits, stats.misses, stats.loads), (0, 2, 2));
            assert!(stats.errors >= 2, "{}", stats.errors);
            let errors = stats.errors;
            faults.heal();
            item(1).await;
            item(1).await;
            let stats = of(&cache, item::SPEC);
            assert_eq!((stats.hits, stats.misses, stats.errors), (1, 3, errors));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_and_misses_add_up_to_the_calls_whatever_goes_on() {
    let (faulty, faults) = Faulty::new(Memory::new());
    let faulty = Cache::builder()
        .backend(faulty)
        .operation_timeout(Duration::from_millis(5))
        .build()
        .await
        .unwrap();
    let server = RedisServer::start().await;
    for (cache, rounds) in [
        (in_memory().await, 500),
        (on_redis(&server).await, 60),
        (faulty, 100),
    ] {
        let (loads, calls) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8_u64 {
            let (loads, calls, faults) = (Arc::clone(&loads), Arc::clone(&calls), faults.clone());
            cache
                .scope(async {
                    tasks.spawn(carry(busy(task, rounds, loads, calls, faults)));
                })
                .await;
        }
        tasks.join_all().await;
        let stats = of(&cache, counted::SPEC);
        let name = cache.stats().backend.name;
        assert_eq!(
            stats.hits + stats.misses,
            calls.load(SeqCst),
            "{name}: calls"
        );
        assert_eq!(stats.loads, loads.load(SeqCst), "{name}: loads");
        assert_eq!(
            stats.loads + stats.coalesced,
            stats.misses,
            "{name}: a miss loads or joins a load"
        );
        assert!(stats.hits > 0, "{name}");
    }
}

#[cached(key = "item:<id>")]
async fn counted(loads: &AtomicU64, id: u64) -> u64 {
    loads.fetch_add(1, SeqCst);
    tokio::task::yield_now().await;
    id
}

async fn busy(
    task: u64,
    rounds: u64,
    loads: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
    faults: cache_runtime::testing::Faults,
) {
    for round in 0..rounds {
        let id = (round * 7 + task) % 5;
        calls.fetch_add(1, SeqCst);
        assert_eq!(counted(&loads, id).await, id);
        match (round * 13 + task) % 50 {
            0 => write(id).await,
            // Only the cache behind the faults meets them.
            1 if task == 0 => faults.set(Fault::Refusing),
            2 if task == 0 => faults.set(Fault::Down),
            3 if task == 0 => faults.heal(),
            _ => {}
        }
    }
    faults.heal();
}

#[tokio::test]
async fn the_figures_of_the_backend_tell_of_its_health() {
    let (backend, faults) = Faulty::new(Memory::new());
    let cache = Cache::builder().backend(backend).build().await.unwrap();
    let healthy = cache.stats().backend;
    assert_eq!(
        (healthy.name, healthy.breaker_open, healthy.breaker_openings),
        ("faulty", false, 0)
    );
    assert_eq!(healthy.undelivered_invalidations, 0);

    faults.set(Fault::Down);
    cache
        .scope(async {
            (
                item(1).await,
                write(1).await,
                write(2).await,
                write(2).await,
            )
        })
        .await;
    let away = cache.stats().backend;
    assert_eq!(
        (
            away.breaker_open,
            away.breaker_openings,
            away.undelivered_invalidations
        ),
        (true, 1, 2)
    );

    faults.heal();
    eventually(DEADLINE, async || !cache.stats().backend.breaker_open).await;
    let back = cache.stats().backend;
    assert_eq!(
        (back.breaker_openings, back.undelivered_invalidations),
        (1, 0)
    );
}

#[tokio::test]
async fn the_backend_has_its_own_name() {
    let server = RedisServer::start().await;
    assert_eq!(in_memory().await.stats().backend.name, "memory");
    assert_eq!(on_redis(&server).await.stats().backend.name, "redis");
}
