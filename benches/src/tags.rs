//! `tags`: what tags cost a hit on Redis, and what it costs to invalidate one by the number of its entries.

use std::collections::HashMap;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::time::{Duration, Instant};

use cache_runtime::Cache;
use cache_runtime::backend::Memory;
use tests::RedisServer;
use tokio::runtime::Builder;

use crate::report::{Over, Report, progress};
use crate::workload::{User, zipf};

const KEYS: usize = 10_000;
const TASKS: [(usize, usize); 3] = [(1, 10_000), (64, 80_000), (256, 80_000)];
const ROUNDS: usize = 9;

/// So many invalidations of a tag a second go on beside the hits of the last case.
const BESIDE: f64 = 100.0;

/// How many entries the tag has that is invalidated, and how many of them are stored at once.
const ENTRIES: [u64; 3] = [1_000, 30_000, 1_000_000];
const AT_ONCE: usize = 1_000;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Starts one task's calls: for each key of the order.
type Subject = (&'static str, Box<dyn Fn(Vec<u64>) -> Running>);

pub(crate) fn run() -> Report {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(measure())
}

async fn measure() -> Report {
    let mut report = Report::new("tags");
    let server = RedisServer::start().await;
    let cache = Cache::builder()
        .url(&server.url())
        .expect("a valid url")
        .operation_timeout(Duration::from_secs(60))
        .build()
        .await
        .expect("the server runs");
    cache.clone().install().expect("the first to be installed");
    hits(&mut report, &cache).await;
    invalidations(&mut report, "redis", &cache).await;
    let entries = ENTRIES.iter().sum::<u64>() as usize * 2;
    let memory = Memory::builder().max_entries(entries).build();
    let memory = Cache::builder()
        .backend(memory.expect("a bound"))
        .build()
        .await
        .expect("nothing to be wrong");
    invalidations(&mut report, "memory", &memory).await;
    progress("");
    report
}

/// Hits by many tasks, ops/s.
async fn hits(report: &mut Report, cache: &Cache) {
    let order = zipf(KEYS, TASKS[TASKS.len() - 1].1);
    let subjects: [Subject; 3] = [
        subject("no tags", untagged),
        subject("two tags of arguments", of_arguments),
        subject("two tags of the result", of_result),
    ];
    for (name, calls) in &subjects {
        progress(&format!("filling, {name}"));
        on_tasks(64, calls.as_ref(), &(0..KEYS as u64).collect::<Vec<_>>()).await;
    }
    let mut measure = async |case: &str, tasks: usize, calls: usize| {
        for round in 1..=ROUNDS {
            for (name, calls_of) in &subjects {
                progress(&format!("{case}: round {round} of {ROUNDS}, {name}"));
                let took = on_tasks(tasks, calls_of.as_ref(), &order[..calls]).await;
                let rate = calls as f64 / took.as_secs_f64();
                report.add(case, name, "ops/s", Over::Median, rate);
            }
        }
    };
    for (tasks, calls) in TASKS {
        measure(&format!("hit/{tasks}"), tasks, calls).await;
    }
    let beside = tokio::spawn(invalidating(cache.clone()));
    let (tasks, calls) = TASKS[1];
    measure(&format!("hit/{tasks}/invalidated"), tasks, calls).await;
    beside.abort();
}

/// Invalidates a tag that no entry has, over and over: what is known of all tags has to be read again each time.
async fn invalidating(cache: Cache) {
    let mut interval = tokio::time::interval(Duration::from_secs_f64(1.0 / BESIDE));
    loop {
        interval.tick().await;
        cache.invalidate_tag("of:nobody").await.expect("delivered");
    }
}

/// How long it takes to invalidate a tag, by how many entries it has.
async fn invalidations(report: &mut Report, backend: &'static str, cache: &Cache) {
    for entries in ENTRIES {
        progress(&format!("{backend}: {entries} entries of one tag"));
        let ids: Vec<u64> = (0..entries).collect();
        for part in ids.chunks(AT_ONCE) {
            cache.scope(many(entries, part)).await;
        }
        let tag = format!("all:{entries}");
        let last = entries - 1;
        assert!(cache.scope(is_there(entries, last)).await, "it is stored");
        for round in 0..ROUNDS {
            let began = Instant::now();
            cache.invalidate_tag(tag.as_str()).await.expect("delivered");
            let took = began.elapsed().as_secs_f64() * 1e6;
            report.add(
                &format!("invalidate/{entries}"),
                backend,
                "us",
                Over::Median,
                took,
            );
            assert!(round > 0 || !cache.scope(is_there(entries, last)).await);
        }
    }
}

async fn is_there(entries: u64, id: u64) -> bool {
    single::peek(entries, id).await.is_some()
}

async fn on_tasks(tasks: usize, subject: &dyn Fn(Vec<u64>) -> Running, order: &[u64]) -> Duration {
    let began = Instant::now();
    let running: Vec<_> = order
        .chunks(order.len().div_ceil(tasks))
        .map(|share| tokio::spawn(subject(share.to_vec())))
        .collect();
    for task in running {
        task.await.expect("a subject panicked");
    }
    began.elapsed()
}

fn subject<F, Fut>(name: &'static str, call: F) -> Subject
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = User> + Send + 'static,
{
    let calls = move |order: Vec<u64>| -> Running {
        let call = call.clone();
        Box::pin(async move {
            for id in order {
                black_box(call(id).await);
            }
        })
    };
    (name, Box::new(calls))
}

#[cache_runtime::cached(key = "user:<id>", ttl = 3600, codec = "postcard")]
async fn untagged(id: u64) -> User {
    User::new(id)
}

async fn of_arguments(id: u64) -> User {
    // As many organisations as a shop has, and as many countries as there are.
    tagged(id % 500, id % 200, id).await
}

#[cache_runtime::cached(key = "tagged:<id>", ttl = 3600, codec = "postcard", tags = ["org:<org>", "country:<country>"])]
async fn tagged(org: u64, country: u64, id: u64) -> User {
    let _ = (org, country);
    User::new(id)
}

#[cache_runtime::cached(key = "told:<id>", ttl = 3600, codec = "postcard", tags = ["name:<return.name>", "version:<return.version>"])]
async fn of_result(id: u64) -> User {
    User::new(id)
}

#[cache_runtime::cached(key = "e:<entries>:<ids[]>", ttl = 3600, tags = ["all:<entries>"])]
async fn many(entries: u64, ids: &[u64]) -> HashMap<u64, u64> {
    let _ = entries;
    ids.iter().map(|&id| (id, id)).collect()
}

#[cache_runtime::cached(key = "e:<entries>:<id>", ttl = 3600, tags = ["all:<entries>"])]
async fn single(entries: u64, id: u64) -> Option<u64> {
    let _ = entries;
    Some(id)
}
