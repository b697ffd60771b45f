//! One load at a time: across tasks and across processes. For leaders that come to grief see `leaders.rs` and `killed_leaders.rs`, for loads
//! that fail `failing_loads.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached};
use tests::{DEADLINE, Gate, RedisServer, eventually, idle, within};

#[derive(Default, Clone)]
struct Source {
    gate: Gate,
    loads: Arc<AtomicU64>,
}

impl Source {
    async fn load(&self, id: u64) -> u64 {
        let load = self.loads.fetch_add(1, SeqCst);
        self.gate.pass().await;
        id * 1000 + load
    }

    fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }
}

#[cached(key = "item:<id>")]
async fn item(source: &Source, id: u64) -> u64 {
    source.load(id).await
}

#[cached(key = "open:<id>", stampede = "none")]
async fn unlocked(source: &Source, id: u64) -> u64 {
    source.load(id).await
}

#[cached(key = "maybe:<id>")]
async fn maybe(source: &Source, id: u64) -> Option<u64> {
    source.load(id).await;
    None
}

async fn in_memory() -> Cache {
    Cache::builder().build().await.unwrap()
}

/// With more patience than usual: these tests are about leases and flights, and share their machine.
async fn on(server: &RedisServer) -> Cache {
    let builder = Cache::builder().url(&server.url()).unwrap();
    builder.operation_timeout(DEADLINE).build().await.unwrap()
}

type Calls<T> = Vec<tokio::task::JoinHandle<T>>;

/// Starts callers and waits until each of them has asked and waits, or loads.
async fn calls<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    cache: &Cache,
    source: &Source,
    call: impl Fn(Source) -> F,
) -> Calls<T> {
    (0..count)
        .map(|_| {
            let (cache, call) = (cache.clone(), call(source.clone()));
            tokio::spawn(async move { cache.scope(call).await })
        })
        .collect()
}

async fn all<T>(calls: Calls<T>) -> Vec<T> {
    let mut results = Vec::new();
    for call in calls {
        results.push(within(call).await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_of_one_cold_key_cause_one_load() {
    let server = RedisServer::start().await;
    for cache in [in_memory().await, on(&server).await] {
        let source = Source::default();
        let callers = calls(1000, &cache, &source, |source| async move {
            item(&source, 7).await
        })
        .await;
        source.gate.arrived(1).await;
        source.gate.open();
        assert!(all(callers).await.iter().all(|&value| value == 7000));
        assert_eq!(source.loads(), 1);
        let stats = cache.stats().function(item::SPEC);
        assert_eq!(stats.hits + stats.misses, 1000);
        assert_eq!(stats.loads, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_over_several_processes_cause_one_load() {
    let server = RedisServer::start().await;
    let source = Source::default();
    let mut callers = Vec::new();
    // Caches do not know each other: each is a process as far as leases and flights go.
    for _ in 0..4 {
        let cache = on(&server).await;
        callers.extend(
            calls(250, &cache, &source, |source| async move {
                item(&source, 7).await
            })
            .await,
        );
    }
    source.gate.arrived(1).await;
    source.gate.open();
    assert!(all(callers).await.iter().all(|&value| value == 7000));
    assert_eq!(source.loads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_load_of_one_key_blocks_no_other_key() {
    let server = RedisServer::start().await;
    for cache in [in_memory().await, on(&server).await] {
        let (slow, fast) = (Source::default(), Source::default());
        fast.gate.open();
        let blocked = calls(
            1,
            &cache,
            &slow,
            |source| async move { item(&source, 0).await },
        )
        .await;
        slow.gate.arrived(1).await;
        for id in 1..=256 {
            within(cache.scope(item(&fast, id))).await;
            within(cache.scope(item(&fast, id))).await;
        }
        assert_eq!(fast.loads(), 256);
        slow.gate.open();
        all(blocked).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_for_as_long_as_the_load_runs() {
    let server = RedisServer::start().await;
    let build = async || {
        let builder = Cache::builder()
            .url(&server.url())
            .unwrap()
            .lease_ttl(Duration::from_millis(150));
        builder.build().await.unwrap()
    };
    let (one, two) = (build().await, build().await);
    let source = Source::default();
    let leader = calls(
        1,
        &one,
        &source,
        |source| async move { item(&source, 7).await },
    )
    .await;
    source.gate.arrived(1).await;
    let waiters = calls(
        10,
        &two,
        &source,
        |source| async move { item(&source, 7).await },
    )
    .await;
    // Renewals are scripts, as are the waiters' questions; many times the lease's life must show many of them.
    server.forget_calls().await;
    eventually(DEADLINE, || async {
        server.calls().await.get("evalsha").copied().unwrap_or(0) > 20
    })
    .await;
    assert_eq!(
        source.loads(),
        1,
        "the lease outlived its first expiry many times"
    );
    source.gate.open();
    all(leader).await;
    all(waiters).await;
    assert_eq!(source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiters_share_an_absence_although_it_is_not_stored() {
    let cache = in_memory().await;
    let source = Source::default();
    let callers = calls(100, &cache, &source, |source| async move {
        maybe(&source, 7).await
    })
    .await;
    idle().await;
    source.gate.open();
    assert!(all(callers).await.iter().all(Option::is_none));
    assert_eq!(source.loads(), 1, "those who waited share one load");
    cache.scope(maybe(&source, 7)).await;
    assert_eq!(source.loads(), 2, "`None` is not stored");
}

#[tokio::test]
async fn without_stampede_protection_every_miss_loads() {
    let cache = in_memory().await;
    let source = Source::default();
    let callers = calls(20, &cache, &source, |source| async move {
        unlocked(&source, 7).await
    })
    .await;
    source.gate.arrived(20).await;
    source.gate.open();
    all(callers).await;
    assert_eq!(source.loads(), 20);
    cache.scope(unlocked(&source, 7)).await;
    assert_eq!(source.loads(), 20, "one of them stored its value");
}

#[cached(key = "fib:<n>")]
async fn fib(n: u64) -> u64 {
    if n < 2 {
        n
    } else {
        Box::pin(fib(n - 1)).await + Box::pin(fib(n - 2)).await
    }
}

#[tokio::test]
async fn a_recursive_function_does_not_wait_for_itself() {
    let cache = in_memory().await;
    assert_eq!(
        within(cache.scope(fib(90))).await,
        2_880_067_194_370_816_120
    );
    assert_eq!(cache.stats().function(fib::SPEC).loads, 91);
}

#[tokio::test]
async fn waiters_are_woken_after_the_value_is_stored() {
    // A waiter that asks again at once finds the value: however many rounds, one load each.
    let cache = in_memory().await;
    for id in 0..200 {
        let source = Source::default();
        source.gate.open();
        let callers = calls(8, &cache, &source, move |source| async move {
            item(&source, id).await;
            item(&source, id).await
        })
        .await;
        all(callers).await;
        assert_eq!(source.loads(), 1);
    }
}

/// Leases live for an hour: whoever waits for the end of one by the clock waits until the test fails.
#[tokio::test]
async fn who_waits_for_another_processs_load_is_called_when_it_ends() {
    let server = RedisServer::start().await;
    let source = Source::default();
    let process = async || {
        let builder = Cache::builder().url(&server.url()).unwrap();
        let builder = builder.lease_ttl(Duration::from_secs(3600));
        builder.operation_timeout(DEADLINE).build().await.unwrap()
    };
    let call = |cache: Cache| {
        let source = source.clone();
        tokio::spawn(async move { cache.scope(item(&source, 7)).await })
    };
    let leader = call(process().await);
    source.gate.arrived(1).await;
    let waiter = call(process().await);
    let state = redis::cmd("GET").arg("{cache:item:7}/s").to_owned();
    let is_waited_for = async || server.query::<String>(&state).await.ends_with('w');
    eventually(DEADLINE, is_waited_for).await;
    source.gate.open();
    assert_eq!(within(leader).await.unwrap(), 7000);
    assert_eq!(within(waiter).await.unwrap(), 7000);
}

#[tokio::test]
async fn the_leader_asks_the_cache_once_more_before_it_loads() {
    // A value that came between the miss and the lease is taken, not loaded again.
    let server = RedisServer::start().await;
    let cache = on(&server).await;
    let source = Source::default();
    source.gate.open();
    cache.scope(item::put(7, 42_u64)).await.unwrap();
    assert_eq!(cache.scope(item(&source, 7)).await, 42);
    assert_eq!(source.loads(), 0);
}

#[tokio::test]
async fn an_entry_that_expires_is_loaded_once_by_many() {
    let clock = ManualClock::new();
    let cache = Cache::builder()
        .clock(&clock)
        .default_ttl(60)
        .build()
        .await
        .unwrap();
    let source = Source::default();
    source.gate.open();
    for generation in 0..5 {
        let callers = calls(50, &cache, &source, |source| async move {
            item(&source, 7).await
        })
        .await;
        let values = all(callers).await;
        assert!(
            values.iter().all(|&value| value == 7000 + generation),
            "{values:?}"
        );
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(source.loads(), 5);
}
