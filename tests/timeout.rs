//! What a call comes to whose load takes longer than its `timeout`, and what becomes of the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, Error, ManualClock, cached, carry};
use tests::{DEADLINE, Gate, RedisServer, eventually, on_each_backend, on_redis, within};

/// What `timeout = "50ms"` below says.
const LIMIT: Duration = Duration::from_millis(50);

/// A database that is held at the gate. Its answers are the numbers of its queries, from 1 on.
#[derive(Clone, Default)]
struct Source {
    gate: Gate,
    loads: Arc<AtomicU64>,
}

impl Source {
    async fn query(&self) -> u64 {
        let load = self.loads.fetch_add(1, SeqCst) + 1;
        self.gate.pass().await;
        load
    }

    fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }

    /// How many have it in their hands, besides the test.
    fn users(&self) -> usize {
        Arc::strong_count(&self.loads) - 1
    }
}

#[derive(Debug, Clone, PartialEq)]
enum LoadError {
    Late(Duration),
    Other(String),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        match error {
            Error::Timeout(limit) => Self::Late(limit),
            other => Self::Other(other.to_string()),
        }
    }
}

const LATE: Result<u64, LoadError> = Err(LoadError::Late(LIMIT));

#[cached(key = "value:<id>", ttl = "1h", timeout = "50ms")]
async fn limited(source: &Source, id: u64) -> Result<u64, LoadError> {
    Ok(source.query().await)
}

#[cached(
    key = "value:<id>",
    ttl = "1h",
    timeout = "50ms",
    stale_if_error = "1h"
)]
async fn forgiving(source: &Source, id: u64) -> Result<u64, LoadError> {
    Ok(source.query().await)
}

#[cached(key = "value:<id>", ttl = "1h", timeout = "1h")]
async fn unhurried(source: &Source, id: u64) -> Result<u64, LoadError> {
    Ok(source.query().await)
}

#[cached(key = "value:<id>", ttl = "1h")]
async fn patient(source: &Source, id: u64) -> Result<u64, LoadError> {
    Ok(source.query().await)
}

/// Stores a value that is past its TTL, and kept.
async fn expired(id: u64, value: u64) {
    #[cached(key = "value:<id>", ttl = "1ms", stale_if_error = "1h")]
    async fn brief(id: u64) -> u64 {
        id
    }
    brief::put(id, value).await.unwrap();
    eventually(DEADLINE, || async { brief::peek(id).await.is_none() }).await;
}

/// Its leases outlive the test: where one load is let in after another, the lease was given back.
async fn moved() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let builder = Cache::builder()
        .clock(&clock)
        .lease_ttl(Duration::from_secs(3600));
    (builder.build().await.unwrap(), clock)
}

/// Lets tasks that can run do so. In memory, on one thread, nothing is left to be done then but what waits for the gate or the clock.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_load_in_time_is_as_without_a_limit() {
    on_each_backend(async |cache| {
        let source = Source::default();
        source.gate.open();
        assert_eq!(unhurried(&source, 7).await, Ok(1));
        assert_eq!(unhurried(&source, 7).await, Ok(1));
        let stats = cache.stats().function(unhurried::SPEC);
        assert_eq!((stats.hits, stats.misses, stats.timeouts), (1, 1, 0));
    })
    .await;
}

#[tokio::test]
async fn past_its_limit_a_call_returns_an_error_and_the_load_goes_on() {
    on_each_backend(async |cache| {
        let source = Source::default();
        assert_eq!(limited(&source, 7).await, LATE);
        let stats = cache.stats().function(limited::SPEC);
        assert_eq!((stats.timeouts, stats.stale_on_error), (1, 0));
        assert_eq!((stats.misses, stats.loads), (1, 1));
        source.gate.open();
        eventually(DEADLINE, || async { limited::peek(7).await.is_some() }).await;
        assert_eq!(limited(&source, 7).await, Ok(1));
        assert_eq!(source.loads(), 1);
        assert_eq!(cache.stats().function(limited::SPEC).hits, 1);
    })
    .await;
}

#[tokio::test]
async fn past_its_limit_a_call_returns_an_old_value_where_one_is_allowed() {
    on_each_backend(async |cache| {
        let source = Source::default();
        expired(7, 100).await;
        assert_eq!(forgiving(&source, 7).await, Ok(100));
        let stats = cache.stats().function(forgiving::SPEC);
        assert_eq!((stats.timeouts, stats.stale_on_error), (1, 1));
        assert_eq!(limited(&source, 7).await, LATE, "not allowed here");
        source.gate.open();
        eventually(DEADLINE, || async { forgiving::peek(7).await.is_some() }).await;
        assert_eq!(forgiving(&source, 7).await, Ok(1));
        assert_eq!(source.loads(), 1);
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_the_load_of_another_is_bound_by_a_limit_of_its_own() {
    on_each_backend(async |cache| {
        let source = Source::default();
        expired(7, 100).await;
        let leader = tokio::spawn(carry({
            let source = source.clone();
            async move { patient(&source, 7).await }
        }));
        source.gate.arrived(1).await;
        assert_eq!(limited(&source, 7).await, LATE);
        assert_eq!(forgiving(&source, 7).await, Ok(100));
        for spec in [limited::SPEC, forgiving::SPEC] {
            let stats = cache.stats().function(spec);
            assert_eq!((stats.misses, stats.timeouts, stats.loads), (1, 1, 0));
        }
        source.gate.open();
        assert_eq!(within(leader).await.unwrap(), Ok(1));
        assert_eq!(source.loads(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_time_spent_on_waiting_for_another_counts() {
    let (cache, clock) = moved().await;
    let source = Source::default();
    let leader = tokio::spawn({
        let (cache, source) = (cache.clone(), source.clone());
        async move { cache.scope(patient(&source, 7)).await }
    });
    source.gate.arrived(1).await;
    let call = tokio::spawn({
        let (cache, source) = (cache.clone(), source.clone());
        async move { cache.scope(limited(&source, 7)).await }
    });
    settle().await;
    clock.advance(LIMIT - Duration::from_nanos(1));
    leader.abort();
    // It leads now, for the nanosecond that is left.
    source.gate.arrived(2).await;
    settle().await;
    assert!(!call.is_finished());
    clock.advance(Duration::from_nanos(1));
    assert_eq!(within(call).await.unwrap(), LATE);
}

#[tokio::test]
async fn who_waits_for_the_load_of_another_process_is_bound_by_its_limit_too() {
    let server = RedisServer::start().await;
    let (one, two) = (on_redis(&server).await, on_redis(&server).await);
    let source = Source::default();
    assert_eq!(one.scope(limited(&source, 7)).await, LATE);
    assert_eq!(two.scope(limited(&source, 7)).await, LATE);
    assert_eq!(source.loads(), 1);
    source.gate.open();
    eventually(DEADLINE, || async {
        two.scope(limited::peek(7)).await.is_some()
    })
    .await;
    assert_eq!(two.scope(limited(&source, 7)).await, Ok(1));
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn a_load_whose_caller_went_on_can_be_joined() {
    on_each_backend(async |_| {
        let source = Source::default();
        assert_eq!(limited(&source, 7).await, LATE);
        let joined = tokio::spawn(carry({
            let source = source.clone();
            async move { patient(&source, 7).await }
        }));
        settle().await;
        source.gate.open();
        assert_eq!(within(joined).await.unwrap(), Ok(1));
        assert_eq!(source.loads(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_load_that_hangs_is_given_up_after_ten_limits_and_another_is_let_in() {
    let (cache, clock) = moved().await;
    let source = Source::default();
    let call = || {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { cache.scope(limited(&source, 7)).await })
    };
    let first = call();
    source.gate.arrived(1).await;
    settle().await;
    clock.advance(LIMIT);
    assert_eq!(within(first).await.unwrap(), LATE);
    clock.advance(9 * LIMIT - Duration::from_nanos(1));
    let second = call();
    settle().await;
    assert_eq!(source.gate.count(), 1, "the first load is still under way");
    assert!(!second.is_finished());
    clock.advance(Duration::from_nanos(1));
    source.gate.arrived(2).await;
    source.gate.open();
    assert_eq!(within(second).await.unwrap(), Ok(2));
    assert_eq!(cache.scope(limited::peek(7)).await, Some(Ok(2)));
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn a_load_in_the_background_that_hangs_is_given_up_after_ten_limits() {
    #[cached(
        key = "value:<id>",
        ttl = "1h",
        stampede = "swr",
        refresh_after = "30m",
        timeout = "50ms"
    )]
    async fn refreshed(source: &Source, id: u64) -> Result<u64, LoadError> {
        Ok(source.query().await)
    }
    let (cache, clock) = moved().await;
    let source = Source::default();
    cache
        .scope(async {
            refreshed::put(7, 100).await.unwrap();
            clock.advance(Duration::from_secs(1800));
            assert_eq!(within(refreshed(&source, 7)).await, Ok(100));
            source.gate.arrived(1).await;
            clock.advance(10 * LIMIT - Duration::from_nanos(1));
            settle().await;
            assert_eq!(source.users(), 1);
            clock.advance(Duration::from_nanos(1));
            settle().await;
            assert_eq!(source.users(), 0, "the body is gone");
            // Past the pause after a failure.
            clock.advance(Duration::from_secs(1));
            assert_eq!(within(refreshed(&source, 7)).await, Ok(100));
            source.gate.arrived(2).await;
        })
        .await;
}

#[tokio::test]
async fn in_a_transaction_the_body_ends_with_its_time() {
    on_each_backend(async |cache| {
        let source = Source::default();
        let late = cache.in_transaction(limited(&source, 7)).await;
        assert_eq!(late, LATE);
        assert_eq!(source.gate.count(), 1);
        assert_eq!(source.users(), 0, "the body is gone");
        source.gate.open();
        assert_eq!(cache.in_transaction(limited(&source, 7)).await, Ok(2));
        assert_eq!(limited::peek(7).await, None, "stored for nobody");
    })
    .await;
}

#[tokio::test]
async fn outside_of_a_transaction_the_body_keeps_what_it_borrows() {
    on_each_backend(async |_| {
        let source = Source::default();
        assert_eq!(limited(&source, 7).await, LATE);
        assert_eq!(source.users(), 1);
        source.gate.open();
        eventually(DEADLINE, || async { source.users() == 0 }).await;
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_the_load_reaches_the_caller_who_waits() {
    #[cached(key = "panics:<id>", ttl = "1h", timeout = "1h")]
    async fn panics(source: &Source, id: u64) -> Result<u64, LoadError> {
        assert!(source.query().await > 1, "the first load panics");
        Ok(id)
    }
    on_each_backend(async |_| {
        let source = Source::default();
        source.gate.open();
        let call = tokio::spawn(carry({
            let source = source.clone();
            async move { panics(&source, 7).await }
        }));
        let panic = within(call).await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the first load panics"));
        assert_eq!(panics(&source, 7).await, Ok(7), "the key is free again");
    })
    .await;
}

#[tokio::test]
async fn a_load_whose_caller_is_dropped_goes_on() {
    on_each_backend(async |_| {
        let source = Source::default();
        let call = tokio::spawn(carry({
            let source = source.clone();
            async move { unhurried(&source, 7).await }
        }));
        source.gate.arrived(1).await;
        call.abort();
        assert!(within(call).await.unwrap_err().is_cancelled());
        source.gate.open();
        eventually(DEADLINE, || async { limited::peek(7).await.is_some() }).await;
        assert_eq!(source.loads(), 1);
    })
    .await;
}
