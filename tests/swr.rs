//! `stampede = "swr"`: past its soft TTL a value is served at once, and replaced by one load in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached, carry};
use tests::{
    DEADLINE, Gate, RedisServer, eventually, on_each_backend, on_redis, redis_builder, within,
};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_nanos(1);

/// How the queries end.
#[derive(Clone, Copy)]
enum End {
    Found,
    Absent,
    Failed,
    Panicked,
}

/// A database that is held at the gate. Its answers are the numbers of its queries, from 1 on.
#[derive(Clone, Default)]
struct Source {
    gate: Gate,
    loads: Arc<AtomicU64>,
    end: Arc<AtomicU8>,
}

impl Source {
    fn open() -> Self {
        let source = Self::default();
        source.gate.open();
        source
    }

    async fn query(&self) -> Result<Option<u64>, &'static str> {
        let load = self.loads.fetch_add(1, SeqCst) + 1;
        self.gate.pass().await;
        match self.end.load(SeqCst) {
            end if end == End::Found as u8 => Ok(Some(load)),
            end if end == End::Absent as u8 => Ok(None),
            end if end == End::Failed as u8 => Err("down"),
            _ => panic!("as the test asked"),
        }
    }

    fn set_end(&self, end: End) {
        self.end.store(end as u8, SeqCst);
    }

    fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }
}

type Row = Result<Option<u64>, &'static str>;

#[cached(
    key = "value:<id>",
    ttl = "1h",
    stampede = "swr",
    refresh_after = "30m"
)]
async fn value(source: &Source, id: u64) -> Row {
    source.query().await
}

/// The same, and keeps `None`.
#[cached(
    key = "value:<id>",
    ttl = "1h",
    stampede = "swr",
    refresh_after = "30m",
    negative_ttl = "1h"
)]
async fn or_none(source: &Source, id: u64) -> Row {
    source.query().await
}

/// The same, and keeps a value past its TTL.
#[cached(
    key = "value:<id>",
    ttl = "1h",
    stampede = "swr",
    refresh_after = "30m",
    stale_if_error = "1h"
)]
async fn forgiving(source: &Source, id: u64) -> Row {
    source.query().await
}

/// Stores a value that is good for an hour, and due to be replaced after a millisecond. What replaces it, by the functions above, is due
/// after half an hour.
async fn due(id: u64, value: u64) {
    #[cached(
        key = "value:<id>",
        ttl = "1h",
        stampede = "swr",
        refresh_after = "1ms"
    )]
    async fn soon(id: u64) -> u64 {
        id
    }
    soon::put(id, value).await.unwrap();
}

/// Calls until the first load in the background has begun; returns how often.
async fn until_refreshed(source: &Source, id: u64, old: u64) -> u64 {
    let calls = AtomicU64::new(0);
    eventually(DEADLINE, || async {
        assert_eq!(within(value(source, id)).await, Ok(Some(old)));
        calls.fetch_add(1, SeqCst);
        source.gate.count() > 0
    })
    .await;
    calls.into_inner()
}

/// Waits until a call would get this.
async fn until_stored(id: u64, row: Option<Row>) {
    eventually(DEADLINE, || async { or_none::peek(id).await == row }).await;
}

async fn moved() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    // Nobody dies here: leases need no renewal while the clock leaps.
    let builder = Cache::builder().clock(&clock).lease_ttl(1000 * HOUR);
    (builder.build().await.unwrap(), clock)
}

/// Lets tasks that can run do so. In memory, on one thread, nothing is left to be done then but what waits for the gate or the clock.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

mod the_load_in_the_background {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn is_one_and_everybody_has_the_old_value_meanwhile() {
        on_each_backend(async |cache| {
            let source = Source::default();
            due(7, 100).await;
            let first = until_refreshed(&source, 7, 100).await;
            let calls: Vec<_> = (0..100)
                .map(|_| {
                    let source = source.clone();
                    tokio::spawn(carry(async move { value(&source, 7).await }))
                })
                .collect();
            for call in calls {
                assert_eq!(within(call).await.unwrap(), Ok(Some(100)));
            }
            source.gate.open();
            until_stored(7, Some(Ok(Some(1)))).await;
            assert_eq!(value(&source, 7).await, Ok(Some(1)));
            assert_eq!(source.loads(), 1);
            let stats = cache.stats().function(value::SPEC);
            assert_eq!((stats.refreshes, stats.loads, stats.misses), (1, 1, 0));
            assert_eq!(stats.hits, first + 101);
            // The first calls may have come before the value was due.
            assert!((101..=first + 100).contains(&stats.stale_hits), "{stats:?}");
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn is_one_in_several_processes() {
        let server = RedisServer::start().await;
        let (one, two) = (on_redis(&server).await, on_redis(&server).await);
        let source = Source::default();
        one.scope(due(7, 100)).await;
        one.scope(until_refreshed(&source, 7, 100)).await;
        server.forget_calls().await;
        // The second process is told by the server, in a script, that there is a load.
        eventually(DEADLINE, || async {
            let old = two.scope(value(&source, 7)).await;
            assert_eq!(old, Ok(Some(100)));
            server.calls().await.contains_key("evalsha")
        })
        .await;
        for cache in [&one, &two] {
            for _ in 0..50 {
                assert_eq!(cache.scope(value(&source, 7)).await, Ok(Some(100)));
            }
        }
        source.gate.open();
        for cache in [&one, &two] {
            cache.scope(until_stored(7, Some(Ok(Some(1))))).await;
            assert_eq!(cache.scope(value(&source, 7)).await, Ok(Some(1)));
        }
        assert_eq!(source.loads(), 1);
        let refreshes = |cache: &Cache| cache.stats().function(value::SPEC).refreshes;
        assert_eq!((refreshes(&one), refreshes(&two)), (1, 0));
    }

    #[tokio::test]
    async fn begins_when_the_value_is_due_and_not_before() {
        let (cache, clock) = moved().await;
        let source = Source::open();
        cache
            .scope(async {
                for generation in 0..3 {
                    let current = Ok(Some(generation + 1));
                    if generation == 0 {
                        assert_eq!(value(&source, 7).await, current);
                    }
                    clock.advance(HOUR / 2 - MOMENT);
                    assert_eq!(value(&source, 7).await, current);
                    settle().await;
                    assert_eq!(source.loads(), generation + 1);
                    clock.advance(MOMENT);
                    assert_eq!(value(&source, 7).await, current);
                    settle().await;
                    assert_eq!(source.loads(), generation + 2);
                }
            })
            .await;
        let stats = cache.stats().function(value::SPEC);
        assert_eq!((stats.stale_hits, stats.refreshes, stats.misses), (3, 3, 1));
    }

    #[tokio::test]
    async fn begins_by_the_functions_own_time_where_another_stored_the_value() {
        #[cached(key = "value:<id>", ttl = "1h")]
        async fn plain(id: u64) -> u64 {
            id
        }
        let (cache, clock) = moved().await;
        let source = Source::open();
        cache
            .scope(async {
                plain(7).await;
                clock.advance(HOUR / 2 - MOMENT);
                assert_eq!(value(&source, 7).await, Ok(Some(7)));
                settle().await;
                assert_eq!(source.loads(), 0);
                clock.advance(MOMENT);
                assert_eq!(value(&source, 7).await, Ok(Some(7)));
                settle().await;
                assert_eq!(value(&source, 7).await, Ok(Some(1)));
            })
            .await;
    }

    #[tokio::test]
    async fn is_waited_for_by_those_who_come_past_the_ttl() {
        let (cache, clock) = moved().await;
        let source = Source::default();
        cache
            .scope(async {
                value::put(7, 100).await.unwrap();
                clock.advance(HOUR - MOMENT);
                assert_eq!(within(value(&source, 7)).await, Ok(Some(100)));
                source.gate.arrived(1).await;
                clock.advance(MOMENT);
                let call = tokio::spawn(carry({
                    let source = source.clone();
                    async move { value(&source, 7).await }
                }));
                settle().await;
                assert!(!call.is_finished());
                source.gate.open();
                assert_eq!(within(call).await.unwrap(), Ok(Some(1)));
                assert_eq!(source.loads(), 1);
            })
            .await;
    }

    #[tokio::test]
    async fn is_an_ordinary_load_past_the_ttl() {
        let (cache, clock) = moved().await;
        let source = Source::open();
        cache
            .scope(async {
                value::put(7, 100).await.unwrap();
                forgiving::put(8, 100).await.unwrap();
                clock.advance(HOUR);
                assert_eq!(value(&source, 7).await, Ok(Some(1)));
                assert_eq!(forgiving(&source, 8).await, Ok(Some(2)), "it is kept");
            })
            .await;
        for spec in [value::SPEC, forgiving::SPEC] {
            let stats = cache.stats().function(spec);
            assert_eq!((stats.misses, stats.refreshes, stats.stale_hits), (1, 0, 0));
        }
    }

    #[tokio::test]
    async fn takes_the_old_value_away_where_it_finds_none() {
        on_each_backend(async |_| {
            let source = Source::default();
            source.set_end(End::Absent);
            due(7, 100).await;
            until_refreshed(&source, 7, 100).await;
            source.gate.open();
            until_stored(7, None).await;
            due(8, 100).await;
            eventually(DEADLINE, || async { or_none(&source, 8).await == Ok(None) }).await;
            assert_eq!(or_none::peek(8).await, Some(Ok(None)));
            assert_eq!(source.loads(), 2);
        })
        .await;
    }

    #[tokio::test]
    async fn stores_nothing_if_the_key_was_invalidated_meanwhile() {
        on_each_backend(async |cache| {
            let source = Source::default();
            due(7, 100).await;
            until_refreshed(&source, 7, 100).await;
            value::invalidate(7).await.unwrap();
            assert_eq!(value::peek(7).await, None);
            source.gate.open();
            eventually(DEADLINE, || async {
                cache.stats().function(value::SPEC).rejected_fills == 1
            })
            .await;
            assert_eq!(value::peek(7).await, None);
            assert_eq!(value(&source, 7).await, Ok(Some(2)));
        })
        .await;
    }

    #[tokio::test]
    async fn is_not_begun_in_a_transaction() {
        on_each_backend(async |cache| {
            let source = Source::default();
            due(7, 100).await;
            until_refreshed(&source, 7, 100).await;
            due(8, 100).await;
            let stored = std::time::Instant::now();
            eventually(DEADLINE, || async { stored.elapsed().as_millis() > 20 }).await;
            for _ in 0..10 {
                let old = cache.in_transaction(value(&source, 8)).await;
                assert_eq!(old, Ok(Some(100)));
                settle().await;
            }
            assert_eq!(source.loads(), 1, "that of the other key");
            assert_eq!(cache.stats().function(value::SPEC).refreshes, 1);
            source.gate.open();
            eventually(DEADLINE, || async {
                value(&source, 8).await == Ok(Some(2))
            })
            .await;
        })
        .await;
    }
}

mod a_load_that_comes_to_nothing {
    use super::*;

    /// Calls just before and at the moment the next attempt is due, and looks which of them loads.
    async fn attempts_are_after(pauses: &[u64], source: &Source, clock: &ManualClock) {
        for &millis in pauses {
            let loads = source.loads();
            clock.advance(Duration::from_millis(millis) - MOMENT);
            for _ in 0..3 {
                assert_eq!(value(source, 7).await, Ok(Some(100)));
                settle().await;
            }
            assert_eq!(source.loads(), loads, "sooner than after {millis} ms");
            clock.advance(MOMENT);
            for _ in 0..3 {
                assert_eq!(value(source, 7).await, Ok(Some(100)));
                settle().await;
            }
            assert_eq!(source.loads(), loads + 1, "not after {millis} ms");
        }
    }

    async fn is_tried_again_after_longer_and_longer_pauses(end: End) {
        let (cache, clock) = moved().await;
        let source = Source::open();
        source.set_end(end);
        cache
            .scope(async {
                value::put(7, 100).await.unwrap();
                clock.advance(HOUR / 2);
                assert_eq!(value(&source, 7).await, Ok(Some(100)));
                settle().await;
                assert_eq!(source.loads(), 1);
                let pauses = [
                    500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000,
                ];
                attempts_are_after(&pauses, &source, &clock).await;
                // A success ends it, and the next failure begins anew.
                source.set_end(End::Found);
                clock.advance(Duration::from_secs(60));
                assert_eq!(value(&source, 7).await, Ok(Some(100)));
                settle().await;
                let loads = source.loads();
                assert_eq!(value(&source, 7).await, Ok(Some(loads)));
                value::put(7, 100).await.unwrap();
                source.set_end(end);
                clock.advance(HOUR / 2);
                assert_eq!(value(&source, 7).await, Ok(Some(100)));
                settle().await;
                attempts_are_after(&[500, 1000], &source, &clock).await;
            })
            .await;
    }

    #[tokio::test]
    async fn by_an_error_is_tried_again_after_longer_and_longer_pauses() {
        is_tried_again_after_longer_and_longer_pauses(End::Failed).await;
    }

    #[tokio::test]
    async fn by_a_panic_is_tried_again_after_longer_and_longer_pauses() {
        is_tried_again_after_longer_and_longer_pauses(End::Panicked).await;
    }

    #[tokio::test]
    async fn leaves_the_old_value_until_its_ttl() {
        let (cache, clock) = moved().await;
        let source = Source::open();
        source.set_end(End::Failed);
        cache
            .scope(async {
                value::put(7, 100).await.unwrap();
                clock.advance(HOUR / 2);
                for _ in 0..30 {
                    assert_eq!(value(&source, 7).await, Ok(Some(100)));
                    settle().await;
                    clock.advance(HOUR / 60);
                }
                assert_eq!(source.loads(), 30);
                assert_eq!(value(&source, 7).await, Err("down"));
            })
            .await;
        let stats = cache.stats().function(value::SPEC);
        assert_eq!((stats.load_errors, stats.refreshes), (31, 30));
        assert_eq!((stats.hits, stats.stale_hits, stats.misses), (30, 30, 1));
    }

    #[tokio::test]
    async fn on_redis_leaves_the_old_value_and_the_key_free() {
        let (server, clock) = (RedisServer::start().await, ManualClock::new());
        let cache = redis_builder(&server).clock(&clock).build().await.unwrap();
        let source = Source::open();
        cache
            .scope(async {
                due(7, 100).await;
                for end in [End::Failed, End::Panicked] {
                    source.set_end(end);
                    let loads = source.loads();
                    eventually(DEADLINE, || async {
                        // Past every pause, whenever the last load came to its end.
                        clock.advance(HOUR);
                        assert_eq!(value(&source, 7).await, Ok(Some(100)));
                        source.loads() > loads
                    })
                    .await;
                }
                source.set_end(End::Found);
                eventually(DEADLINE, || async {
                    clock.advance(HOUR);
                    value(&source, 7).await != Ok(Some(100))
                })
                .await;
            })
            .await;
    }
}
