//! One load at a time: across tasks, across processes, and whatever happens to the one who loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached};
use tests::{DEADLINE, Gate, RedisServer, eventually, within};

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

#[derive(Debug, Clone, PartialEq)]
struct Shared(u64);

#[cached(key = "shared:<id>")]
async fn fails_shared(source: &Source, id: u64) -> Result<u64, Shared> {
    Err(Shared(source.load(id).await))
}

#[derive(Debug)]
#[allow(dead_code, reason = "shown by a failing test")]
struct Single(u64);

#[cached(key = "single:<id>")]
async fn fails_single(source: &Source, id: u64) -> Result<u64, Single> {
    Err(Single(source.load(id).await))
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
async fn a_leader_that_is_dropped_is_followed_by_one_of_those_who_wait() {
    let server = RedisServer::start().await;
    for cache in [in_memory().await, on(&server).await] {
        let source = Source::default();
        let leader = calls(1, &cache, &source, |source| async move {
            item(&source, 7).await
        })
        .await;
        source.gate.arrived(1).await;
        let waiters = calls(50, &cache, &source, |source| async move {
            item(&source, 7).await
        })
        .await;
        leader[0].abort();
        // The next leader comes without the lease's five seconds passing: the drop gave the lease back.
        source.gate.arrived(2).await;
        source.gate.open();
        all(waiters).await;
        assert_eq!(source.loads(), 2, "the waiters share the second load");
    }
}

#[cached(key = "panics:<id>")]
async fn panics_first(source: &Source, id: u64) -> u64 {
    let value = source.load(id).await;
    assert!(value % 1000 > 0, "the first load panics");
    value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_panics_is_followed_by_one_of_those_who_wait() {
    let server = RedisServer::start().await;
    for cache in [in_memory().await, on(&server).await] {
        let source = Source::default();
        let leader = calls(1, &cache, &source, |source| async move {
            panics_first(&source, 7).await
        })
        .await;
        source.gate.arrived(1).await;
        let waiters = calls(50, &cache, &source, |source| async move {
            panics_first(&source, 7).await
        })
        .await;
        source.gate.open();
        for leader in leader {
            assert!(within(leader).await.unwrap_err().is_panic());
        }
        assert!(all(waiters).await.iter().all(|&value| value == 7001));
        assert_eq!(source.loads(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_of_another_process_that_is_killed_holds_others_up_no_longer_than_its_lease() {
    let server = RedisServer::start().await;
    let source = Source::default();
    let build = async || {
        let builder = Cache::builder()
            .url(&server.url())
            .unwrap()
            .lease_ttl(Duration::from_millis(400));
        builder.build().await.unwrap()
    };
    let (here, elsewhere) = (build().await, build().await);
    // The other process's runtime stops between two instructions: no drop runs, no renewal comes.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    drop(elsewhere);
    let killed = source.clone();
    let url = server.url();
    let (dead, died) = tokio::sync::oneshot::channel();
    runtime.spawn(async move {
        let builder = Cache::builder()
            .url(&url)
            .unwrap()
            .lease_ttl(Duration::from_millis(400));
        let cache = builder.build().await.unwrap();
        let gate = killed.gate.clone();
        let call = Box::leak(Box::new(Box::pin(async move {
            cache.scope(item(&killed, 7)).await
        })));
        // Polled until it waits at the gate, and never again; leaked, so that nothing of it is given back.
        tokio::select! {
            _ = call => unreachable!("the gate is closed"),
            () = gate.arrived(1) => dead.send(()).unwrap(),
        }
    });
    within(died).await.unwrap();
    source.gate.open();
    assert_eq!(
        within(here.scope(item(&source, 7))).await % 1000,
        1,
        "a second load, after the lease expired"
    );
    runtime.shutdown_background();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_share_an_absence_although_it_is_not_stored() {
    let cache = in_memory().await;
    let source = Source::default();
    let callers = calls(100, &cache, &source, |source| async move {
        maybe(&source, 7).await
    })
    .await;
    source.gate.arrived(1).await;
    eventually(DEADLINE, || async {
        Arc::strong_count(&source.loads) >= 101
    })
    .await;
    settle().await;
    source.gate.open();
    assert!(all(callers).await.iter().all(Option::is_none));
    let loads = source.loads();
    assert!(
        loads < 100,
        "those who waited share one load; {loads} loads"
    );
    cache.scope(maybe(&source, 7)).await;
    assert_eq!(source.loads(), loads + 1, "`None` is not stored");
}

/// Lets tasks that can run do so.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_error_that_can_be_cloned_reaches_every_waiter_from_one_load() {
    let cache = in_memory().await;
    let source = Source::default();
    let callers = calls(100, &cache, &source, |source| async move {
        fails_shared(&source, 7).await
    })
    .await;
    source.gate.arrived(1).await;
    settle().await;
    source.gate.open();
    assert!(
        all(callers)
            .await
            .iter()
            .all(|result| *result == Err(Shared(7000)))
    );
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn an_error_that_cannot_be_cloned_makes_no_convoy() {
    let cache = in_memory().await;
    let source = Source::default();
    let callers = calls(100, &cache, &source, |source| async move {
        fails_single(&source, 7).await
    })
    .await;
    source.gate.arrived(1).await;
    settle().await;
    // Each opening of the gate lets one generation of loads through.
    let mut generations = 0;
    while callers.iter().any(|call| !call.is_finished()) {
        generations += 1;
        assert!(
            generations <= 3,
            "the last caller waits for three loads at most"
        );
        let before = source.gate.count();
        source.gate.open();
        settle().await;
        source.gate.close();
        eventually(DEADLINE, || async {
            settle().await;
            source.gate.count() > before || callers.iter().all(tokio::task::JoinHandle::is_finished)
        })
        .await;
    }
    assert!(all(callers).await.iter().all(Result::is_err));
    assert!(
        source.loads() <= 101,
        "one load a caller at most, and one that was shared: {}",
        source.loads()
    );
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
