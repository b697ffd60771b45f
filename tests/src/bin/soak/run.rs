//! A run: what is started, what goes on meanwhile, and what is left at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cache_runtime::backend::Memory;
use cache_runtime::{Cache, CacheBuilder};
use fastrand::Rng;
use tests::{Proxy, RedisServer};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::arguments::Arguments;
use super::caller::{Caller, OPERATION, Seen, Shop};
use super::faults::trouble;
use super::gauges::{Gauges, connections};
use super::shop::{Database, change, count, early, lock, negative, save, swr, tagged};
use super::verdict::{Check, Verdict};

/// The cache in memory holds so many entries: some of a hundred of what is read.
const ENTRIES: usize = 50_000;

/// So often the gauges are read.
const LOOK: Duration = Duration::from_millis(500);

/// What goes on in the background has come to its end by then.
const REST: Duration = Duration::from_secs(30);

/// A call waits at most for the lease of another that is gone (5 s), and as long again where its own fails after that; the rest is for
/// a machine that has other things to do.
const LONGEST_CALL: Duration = Duration::from_secs(15);

/// One call in so many may be late: what first meets a fault, and what waits for the lease of another when its end is lost.
const LATE: f64 = 0.03;

/// Tasks beyond the callers: what the caches do in the background for them, such as loads that replace a value and leases that are renewed.
const TASKS_EACH: usize = 8;

/// Tasks, files and connections that come with time and stay, such as a worker's.
const SLACK: usize = 8;

/// Runs it all.
pub(crate) fn run(arguments: &Arguments) -> Verdict {
    // Servers, proxy and faults have a runtime of their own: the other's tasks are those of callers and caches.
    let ground = runtime();
    let caches = runtime();
    let verdict = ground.block_on(soak(arguments, caches.handle()));
    caches.shutdown_background();
    verdict
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built")
}

struct Held {
    shops: Arc<[Shop]>,
    memory: Arc<Memory>,
}

async fn soak(arguments: &Arguments, runtime: &Handle) -> Verdict {
    let mut server = RedisServer::builder()
        .config("appendonly yes")
        .start()
        .await;
    let proxy = Proxy::before(&server).await;
    let (url, keys) = (proxy.url(), arguments.keys);
    let held = runtime.spawn(async move { open(&url, keys).await });
    let held = held.await.expect("the caches can be built");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let baseline = Baseline {
        gauges: Gauges::read(runtime),
        connections: connections(&server).await,
    };
    let (seen, is_over) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
    let begun = Instant::now();
    let callers = start(arguments, runtime, &held, &seen, &is_over, &proxy);
    let faults = Rng::with_seed(arguments.seed ^ 0xfa);
    let (faults, samples) = tokio::join!(
        async {
            let count = trouble(&mut server, &proxy, faults, arguments.time).await;
            is_over.store(true, Relaxed);
            count
        },
        watch(runtime, &held, &is_over),
    );
    let seconds = begun.elapsed().as_secs();
    let rest = come_to_rest(&server, runtime, callers, &baseline).await;
    let mut verdict = Verdict {
        seed: arguments.seed,
        seconds,
        calls: seen.calls.load(Relaxed),
        faults,
        figures: figures(&held, &seen, &samples),
        checks: Vec::new(),
        first: seen.wrong.first.lock().ok().and_then(|first| first.clone()),
    };
    let hits = hits_on(&held.shops[0]);
    verdict.checks.extend(of_answers(&seen, hits));
    verdict
        .checks
        .extend(of_holdings(arguments, &baseline, &samples, &rest));
    verdict
}

struct Baseline {
    gauges: Gauges,
    connections: usize,
}

async fn open(url: &str, keys: u64) -> Held {
    let memory = Memory::builder().max_entries(ENTRIES).build();
    let memory = Arc::new(memory.expect("a good bound"));
    let on_redis = Cache::builder().url(url).expect("a good URL");
    let on_redis = on_redis.operation_timeout(OPERATION);
    let shops = [
        shop("Redis", on_redis, keys).await,
        shop("memory", Cache::builder().backend(memory.clone()), keys).await,
    ];
    Held {
        shops: shops.into(),
        memory,
    }
}

/// Builds a cache, and has every sort of call made once, so that what is made at the first call is there.
async fn shop(name: &'static str, builder: CacheBuilder, keys: u64) -> Shop {
    let database = Database::new(keys);
    let cache = builder.provide(database.clone()).build().await;
    let cache = cache.expect("good options");
    let (db, id) = (&database, 1);
    let all = async {
        change(db, id).await;
        for id in 1..100 {
            lock(db, id).await;
            swr(db, id).await;
            early(db, id).await;
            negative(db, id).await;
            tagged(db, id, id).await;
            save(db, id).await.expect("nothing is troubled yet");
            count(id, 1).await.expect("nothing is troubled yet");
        }
    };
    cache.scope(all).await;
    Shop {
        name,
        cache,
        database,
    }
}

fn start(
    arguments: &Arguments,
    runtime: &Handle,
    held: &Held,
    seen: &Arc<Seen>,
    is_over: &Arc<AtomicBool>,
    proxy: &Proxy,
) -> Vec<JoinHandle<()>> {
    let caller = |number| Caller {
        shops: held.shops.clone(),
        keys: arguments.keys,
        random: Rng::with_seed(arguments.seed.wrapping_add(number as u64 + 1)),
        seen: seen.clone(),
        is_over: is_over.clone(),
        leak: arguments.leak,
        proxy: proxy.address(),
    };
    (0..arguments.tasks)
        .map(|number| runtime.spawn(caller(number).go_on()))
        .collect()
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    gauges: Gauges,
    /// Of the cache in memory, as it says itself.
    weight: u64,
}

async fn watch(runtime: &Handle, held: &Held, is_over: &AtomicBool) -> Vec<Sample> {
    let mut samples = Vec::new();
    while !is_over.load(Relaxed) {
        tokio::time::sleep(LOOK).await;
        samples.push(Sample {
            gauges: Gauges::read(runtime),
            weight: held.memory.weight(),
        });
    }
    samples
}

/// What is left when everybody has had time to end.
struct Rest {
    /// Callers whose last call was not answered.
    hanging: usize,
    panicked: usize,
    gauges: Gauges,
    connections: usize,
}

async fn come_to_rest(
    server: &RedisServer,
    runtime: &Handle,
    callers: Vec<JoinHandle<()>>,
    baseline: &Baseline,
) -> Rest {
    let deadline = tokio::time::Instant::now() + REST;
    let (mut hanging, mut panicked) = (0, 0);
    for caller in callers {
        match tokio::time::timeout_at(deadline, caller).await {
            Ok(ended) => panicked += usize::from(ended.is_err()),
            Err(_) => hanging += 1,
        }
    }
    loop {
        let rest = Rest {
            hanging,
            panicked,
            gauges: Gauges::read(runtime),
            connections: connections(server).await,
        };
        let is_at_rest = rest.gauges.tasks <= baseline.gauges.tasks + SLACK
            && rest.gauges.files <= baseline.gauges.files + SLACK
            && rest.connections <= baseline.connections;
        if is_at_rest || tokio::time::Instant::now() >= deadline {
            return rest;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn figures(held: &Held, seen: &Seen, samples: &[Sample]) -> Vec<(&'static str, u64)> {
    let of = |shop: &Shop| {
        let stats = shop.cache.stats();
        let errors: u64 = stats.functions.iter().map(|it| it.errors).sum();
        (hits_on(shop), errors, stats.backend.breaker_openings)
    };
    let (hits, errors, openings) = of(&held.shops[0]);
    let (hits_in_memory, ..) = of(&held.shops[1]);
    let most = |of: fn(&Gauges) -> u64| samples.iter().map(|it| of(&it.gauges)).max().unwrap_or(0);
    vec![
        ("hits on Redis", hits),
        ("hits in memory", hits_in_memory),
        (
            "loads",
            held.shops
                .iter()
                .map(|shop| shop.database.loads.load(Relaxed))
                .sum(),
        ),
        ("operations on Redis that failed", errors),
        ("openings of the breaker", openings),
        (
            "write-behind: acknowledged",
            seen.acknowledged.load(Relaxed),
        ),
        ("write-behind: refused", seen.refused.load(Relaxed)),
        (
            "write-behind: bodies run for, with those from before",
            held.shops
                .iter()
                .map(|shop| shop.database.written_behind.load(Relaxed))
                .sum(),
        ),
        ("most memory, MiB", most(|gauges| gauges.memory) / 1024),
        ("most files", most(|gauges| gauges.files as u64)),
        ("longest call, ms", seen.longest.load(Relaxed) / 1000),
    ]
}

/// Of the functions that are read.
fn hits_on(shop: &Shop) -> u64 {
    let stats = shop.cache.stats();
    let read = [
        lock::SPEC,
        swr::SPEC,
        early::SPEC,
        negative::SPEC,
        tagged::SPEC,
    ];
    read.map(|spec| stats.function(spec).hits).iter().sum()
}

fn check(what: &'static str, seen: f64, at_most: f64) -> Check {
    Check {
        what,
        seen,
        at_most,
    }
}

fn of_answers(seen: &Seen, hits: u64) -> [Check; 6] {
    let calls = seen.calls.load(Relaxed).max(1) as f64;
    let late = seen.late.load(Relaxed) as f64 / calls;
    let longest = seen.longest.load(Relaxed) as f64 / 1e6;
    [
        check(
            "values older than an invalidation",
            seen.wrong.older.load(Relaxed) as f64,
            0.0,
        ),
        check(
            "errors of the cache's own",
            seen.wrong.errors.load(Relaxed) as f64,
            0.0,
        ),
        check("calls beyond their budget, %", late * 100.0, LATE * 100.0),
        check("longest call, s", longest, LONGEST_CALL.as_secs_f64()),
        // Without these nothing was seen.
        check("runs without a call", f64::from(u8::from(calls < 2.0)), 0.0),
        check(
            "runs without a hit on Redis",
            f64::from(u8::from(hits == 0)),
            0.0,
        ),
    ]
}

fn of_holdings(
    arguments: &Arguments,
    baseline: &Baseline,
    samples: &[Sample],
    rest: &Rest,
) -> [Check; 9] {
    let most = |of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap_or(0) as f64;
    let tasks = arguments.tasks * (1 + TASKS_EACH) + baseline.gauges.tasks;
    let (before, after) = (memory_in(samples, 0.4..0.6), memory_in(samples, 0.8..1.0));
    let growth = (after - before) / 1024.0;
    [
        check("callers that hang", rest.hanging as f64, 0.0),
        check("callers that panicked", rest.panicked as f64, 0.0),
        check(
            "growth of memory after the warm-up, MiB",
            growth,
            16.0 + before / 1024.0 * 0.1,
        ),
        check(
            "entries in memory",
            most(|sample| sample.weight),
            ENTRIES as f64,
        ),
        check(
            "tasks meanwhile",
            most(|sample| sample.gauges.tasks as u64),
            tasks as f64,
        ),
        check(
            "tasks at the end",
            rest.gauges.tasks as f64,
            (baseline.gauges.tasks + SLACK) as f64,
        ),
        check(
            "files at the end",
            rest.gauges.files as f64,
            (baseline.gauges.files + SLACK) as f64,
        ),
        check(
            "files meanwhile",
            most(|sample| sample.gauges.files as u64),
            (baseline.gauges.files + 64) as f64,
        ),
        check(
            "connections at the end",
            rest.connections as f64,
            baseline.connections as f64,
        ),
    ]
}

/// The median of what is resident in a part of the run, in KiB.
fn memory_in(samples: &[Sample], part: std::ops::Range<f64>) -> f64 {
    let at = |share: f64| ((samples.len() as f64 * share) as usize).min(samples.len());
    let mut all: Vec<u64> = samples[at(part.start)..at(part.end)]
        .iter()
        .map(|sample| sample.gauges.memory)
        .collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0) as f64
}
