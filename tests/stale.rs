//! A value past its TTL rather than an error: `stale_if_error`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached, carry, invalidates};
use redis::cmd;
use tests::{
    DEADLINE, Gate, RedisServer, eventually, in_memory, on_each_backend, on_redis, within,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_nanos(1);

/// A database that is held at the gate, and may be down. Its answers are the numbers of its queries, from 1 on.
#[derive(Clone, Default)]
struct Source {
    gate: Gate,
    loads: Arc<AtomicU64>,
    down: Arc<AtomicBool>,
}

impl Source {
    fn open() -> Self {
        let source = Self::default();
        source.gate.open();
        source
    }

    async fn query(&self) -> Option<u64> {
        let load = self.loads.fetch_add(1, SeqCst) + 1;
        self.gate.pass().await;
        (!self.down.load(SeqCst)).then_some(load)
    }

    fn set_down(&self, down: bool) {
        self.down.store(down, SeqCst);
    }

    fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Down;

/// An error of which waiters get no copy.
#[derive(Debug, PartialEq)]
struct Single;

#[cached(key = "value:<id>", ttl = "1h", stale_if_error = "1h")]
async fn forgiving(source: &Source, id: u64) -> Result<u64, Down> {
    source.query().await.ok_or(Down)
}

#[cached(key = "value:<id>", ttl = "1h", stale_if_error = "1h")]
async fn forgiving_single(source: &Source, id: u64) -> Result<u64, Single> {
    source.query().await.ok_or(Single)
}

#[cached(key = "value:<id>", ttl = "1h")]
async fn exact(source: &Source, id: u64) -> Result<u64, Down> {
    source.query().await.ok_or(Down)
}

#[invalidates("value:<id>")]
async fn write(id: u64) {}

/// Stores a value that is past its TTL, and kept.
async fn expired(id: u64, value: u64) {
    #[cached(key = "value:<id>", ttl = "1ms", stale_if_error = "1h")]
    async fn brief(id: u64) -> u64 {
        id
    }
    brief::put(id, value).await.unwrap();
    eventually(DEADLINE, || async { brief::peek(id).await.is_none() }).await;
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

#[tokio::test]
async fn a_load_that_fails_yields_the_old_value() {
    on_each_backend(async |cache| {
        let source = Source::open();
        source.set_down(true);
        expired(7, 100).await;
        for _ in 0..3 {
            assert_eq!(forgiving(&source, 7).await, Ok(100));
        }
        assert_eq!(source.loads(), 3);
        let stats = cache.stats().function(forgiving::SPEC);
        assert_eq!((stats.stale_on_error, stats.load_errors), (3, 3));
        assert_eq!((stats.hits, stats.misses, stats.timeouts), (0, 3, 0));
    })
    .await;
}

#[tokio::test]
async fn the_old_value_is_served_until_the_window_ends() {
    #[cached(key = "timed:<id>", ttl = 60, stale_if_error = 30)]
    async fn timed(source: &Source, id: u64) -> Result<u64, Down> {
        source.query().await.ok_or(Down)
    }
    let (cache, clock) = moved().await;
    let source = Source::open();
    cache
        .scope(async {
            assert_eq!(timed(&source, 7).await, Ok(1));
            source.set_down(true);
            clock.advance(MINUTE - MOMENT);
            assert_eq!(timed(&source, 7).await, Ok(1));
            assert_eq!(source.loads(), 1, "a hit");
            clock.advance(MOMENT);
            assert_eq!(timed(&source, 7).await, Ok(1));
            clock.advance(MINUTE / 2 - MOMENT);
            assert_eq!(timed(&source, 7).await, Ok(1));
            assert_eq!(source.loads(), 3, "they loaded in vain");
            clock.advance(MOMENT);
            assert_eq!(timed(&source, 7).await, Err(Down));
            assert_eq!(cache.stats().function(timed::SPEC).stale_on_error, 2);
        })
        .await;
}

#[tokio::test]
async fn the_window_may_end_while_the_load_runs() {
    let (cache, clock) = moved().await;
    let source = Source::default();
    source.set_down(true);
    cache
        .scope(async {
            forgiving::put(7, 100).await.unwrap();
            clock.advance(HOUR + HOUR - MOMENT);
            let call = tokio::spawn(carry({
                let source = source.clone();
                async move { forgiving(&source, 7).await }
            }));
            source.gate.arrived(1).await;
            clock.advance(MOMENT);
            source.gate.open();
            assert_eq!(within(call).await.unwrap(), Err(Down));
        })
        .await;
}

#[tokio::test]
async fn a_loader_that_recovers_replaces_the_old_value() {
    on_each_backend(async |cache| {
        let source = Source::open();
        source.set_down(true);
        expired(7, 100).await;
        assert_eq!(forgiving(&source, 7).await, Ok(100));
        source.set_down(false);
        assert_eq!(forgiving(&source, 7).await, Ok(2));
        source.set_down(true);
        assert_eq!(forgiving(&source, 7).await, Ok(2));
        assert_eq!(source.loads(), 2);
        let stats = cache.stats().function(forgiving::SPEC);
        assert_eq!((stats.stale_on_error, stats.hits), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn the_old_value_is_never_served_while_the_loader_works() {
    on_each_backend(async |cache| {
        let source = Source::default();
        expired(7, 100).await;
        assert_eq!(forgiving::peek(7).await, None);
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let source = source.clone();
                tokio::spawn(carry(async move { forgiving(&source, 7).await }))
            })
            .collect();
        source.gate.arrived(1).await;
        source.gate.open();
        for call in calls {
            assert_eq!(within(call).await.unwrap(), Ok(1));
        }
        let stats = cache.stats().function(forgiving::SPEC);
        assert_eq!((stats.stale_on_error, stats.loads), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn an_invalidation_removes_the_old_value() {
    on_each_backend(async |_| {
        let source = Source::open();
        source.set_down(true);
        expired(7, 100).await;
        write(7).await;
        assert_eq!(forgiving(&source, 7).await, Err(Down));
    })
    .await;
}

#[tokio::test]
async fn a_call_that_begins_after_an_invalidation_gets_the_error() {
    on_each_backend(async |_| {
        let source = Source::default();
        source.set_down(true);
        expired(7, 100).await;
        let call = || {
            let source = source.clone();
            tokio::spawn(carry(async move { forgiving(&source, 7).await }))
        };
        let before = call();
        source.gate.arrived(1).await;
        write(7).await;
        let after = call();
        source.gate.arrived(2).await;
        source.gate.open();
        assert_eq!(within(before).await.unwrap(), Ok(100));
        assert_eq!(within(after).await.unwrap(), Err(Down));
    })
    .await;
}

#[tokio::test]
async fn all_who_wait_for_a_load_that_fails_get_the_old_value() {
    let cache = in_memory().await;
    cache
        .scope(async {
            for id in [7, 8] {
                let source = Source::default();
                source.set_down(true);
                expired(id, 100).await;
                let calls: Vec<_> = (0..50)
                    .map(|_| {
                        let source = source.clone();
                        tokio::spawn(carry(async move {
                            match id {
                                7 => forgiving(&source, 7).await.ok(),
                                _ => forgiving_single(&source, id).await.ok(),
                            }
                        }))
                    })
                    .collect();
                settle().await;
                source.gate.open();
                for call in calls {
                    assert_eq!(within(call).await.unwrap(), Some(100));
                }
                assert_eq!(source.loads(), 1);
            }
        })
        .await;
    for spec in [forgiving::SPEC, forgiving_single::SPEC] {
        let stats = cache.stats().function(spec);
        assert_eq!((stats.stale_on_error, stats.coalesced), (50, 0));
        assert_eq!((stats.misses, stats.hits), (50, 0));
    }
}

#[tokio::test]
async fn all_who_wait_in_several_processes_get_the_old_value() {
    let server = RedisServer::start().await;
    let (one, two) = (on_redis(&server).await, on_redis(&server).await);
    let source = Source::default();
    source.set_down(true);
    one.scope(expired(7, 100)).await;
    let calls: Vec<_> = (0..20)
        .flat_map(|_| [one.clone(), two.clone()])
        .map(|cache| {
            let source = source.clone();
            tokio::spawn(async move { cache.scope(forgiving(&source, 7)).await })
        })
        .collect();
    source.gate.arrived(1).await;
    source.gate.open();
    for call in calls {
        assert_eq!(within(call).await.unwrap(), Ok(100));
    }
}

#[tokio::test]
async fn redis_keeps_a_value_for_its_ttl_and_the_window_and_an_absence_for_its_ttl() {
    #[cached(
        key = "maybe:<id>",
        ttl = "1h",
        stale_if_error = "1h",
        negative_ttl = "10m"
    )]
    async fn maybe(id: u64) -> Option<u64> {
        (id > 0).then_some(id)
    }
    let server = RedisServer::start().await;
    let cache = on_redis(&server).await;
    let source = Source::open();
    cache
        .scope(async {
            forgiving(&source, 1).await.unwrap();
            forgiving::put(2, 2).await.unwrap();
            exact(&source, 3).await.unwrap();
            maybe(0).await;
            maybe(1).await;
        })
        .await;
    for (key, kept) in [
        ("value:1", 2 * HOUR),
        ("value:2", 2 * HOUR),
        ("value:3", HOUR),
        ("maybe:0", 10 * MINUTE),
        ("maybe:1", 2 * HOUR),
    ] {
        let left: i64 = server
            .query(cmd("PTTL").arg(format!("{{cache:{key}}}")))
            .await;
        let left = Duration::from_millis(u64::try_from(left).expect("it is kept"));
        assert!(left <= kept && left + MINUTE > kept, "{key}: {left:?}");
    }
}

#[tokio::test]
async fn a_function_without_a_window_does_not_see_what_another_keeps_past_its_ttl() {
    on_each_backend(async |cache| {
        let source = Source::open();
        source.set_down(true);
        expired(7, 100).await;
        assert_eq!(exact::peek(7).await, None);
        assert_eq!(exact(&source, 7).await, Err(Down));
        assert_eq!(forgiving(&source, 7).await, Ok(100), "it is still kept");
        source.set_down(false);
        assert_eq!(exact(&source, 7).await, Ok(3), "and does not block a fill");
        assert_eq!(exact(&source, 7).await, Ok(3));
        assert_eq!(cache.stats().function(exact::SPEC).stale_on_error, 0);
    })
    .await;
}
