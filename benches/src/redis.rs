//! `redis`: hits on Redis by many tasks at once.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cache_runtime::Cache;
use hitbox::policy::PolicyConfig;
use hitbox_redis::{ConnectionMode, RedisBackend};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tests::RedisServer;
use tokio::runtime::Builder;

use crate::report::{OURS, Over, Report, progress};
use crate::workload::{User, zipf};

const KEYS: usize = 10_000;
/// Round trips of one task at a time bound the first case; the others have more to do at once.
const TASKS: [(usize, usize); 4] = [(1, 10_000), (16, 40_000), (64, 60_000), (256, 80_000)];
const ROUNDS: usize = 7;

/// Where `cached` finds its server: its attribute takes no value from a caller.
static URL: OnceLock<String> = OnceLock::new();

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Starts one task's calls: for each key of the order.
type Subject = (&'static str, Box<dyn Fn(Vec<u64>) -> Running + Send + Sync>);

pub(crate) fn run() -> Report {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(measure())
}

async fn measure() -> Report {
    let mut report = Report::new("redis");
    let server = RedisServer::start().await;
    let order = zipf(KEYS, TASKS[TASKS.len() - 1].1);
    let subjects = subjects(&server).await;
    for (name, calls) in &subjects {
        progress(&format!("filling, {name}"));
        let all: Vec<u64> = (0..KEYS as u64).collect();
        on_tasks(64, calls.as_ref(), &all).await;
    }
    for (tasks, calls) in TASKS {
        for round in 1..=ROUNDS {
            for (name, subject) in &subjects {
                progress(&format!("{tasks} tasks: round {round} of {ROUNDS}, {name}"));
                let took = on_tasks(tasks, subject.as_ref(), &order[..calls]).await;
                let rate = calls as f64 / took.as_secs_f64();
                report.add(&tasks.to_string(), name, "ops/s", Over::Median, rate);
            }
        }
    }
    progress("");
    report
}

/// How long it takes to make a call for each key of the order, spread over this many tasks.
async fn on_tasks(
    tasks: usize,
    subject: &(dyn Fn(Vec<u64>) -> Running + Send + Sync),
    order: &[u64],
) -> Duration {
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

async fn subjects(server: &RedisServer) -> Vec<Subject> {
    let url = URL.get_or_init(|| server.url());
    let cache = Cache::builder()
        .url(url)
        .expect("a valid url")
        .build()
        .await
        .expect("the server runs");
    cache.install().expect("the first to be installed");
    let raw = server.connection().await;
    let hitbox = hitbox_fn::Cache::builder()
        .backend(
            RedisBackend::builder()
                .connection(ConnectionMode::single(url.as_str()))
                .build()
                .expect("a valid url"),
        )
        .policy(
            PolicyConfig::builder()
                .ttl(Duration::from_secs(300))
                .build(),
        )
        .build();
    vec![
        subject(OURS, ours),
        subject("raw", move |id| by_hand(raw.clone(), id)),
        subject("cached", cached),
        subject("hitbox", move |id| {
            let hitbox = hitbox.clone();
            async move { hitboxed(id).cache(&hitbox).await }
        }),
    ]
}

fn subject<F, Fut, T>(name: &'static str, call: F) -> Subject
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
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

// With the codec of `by_hand`, so that the two differ by what the cache does and not by the codec.
#[cache_runtime::cached(key = "user:<id>", ttl = 300, codec = "postcard")]
async fn ours(id: u64) -> User {
    User::new(id)
}

/// The floor: a GET and the codec, on the connection that redis-rs gives by default.
async fn by_hand(mut connection: MultiplexedConnection, id: u64) -> User {
    let key = format!("raw:{id}");
    let bytes: Option<Vec<u8>> = connection.get(&key).await.expect("the server runs");
    if let Some(bytes) = bytes {
        return postcard::from_bytes(&bytes).expect("what was stored");
    }
    let user = User::new(id);
    let bytes = postcard::to_allocvec(&user).expect("a user can be written");
    let () = connection
        .set_ex(&key, bytes, 300)
        .await
        .expect("the server runs");
    user
}

#[cached::macros::concurrent_cached(
    ty = "cached::AsyncRedisCache<String, User>",
    create = r#"{
        cached::AsyncRedisCache::builder("user")
            .ttl(std::time::Duration::from_secs(300))
            .connection_string(URL.get().expect("set before the first call"))
            .build()
            .await
            .expect("the server runs")
    }"#,
    map_error = r#"|error| error.to_string()"#,
    key = "String",
    convert = { format!("user:{id}") }
)]
async fn cached(id: u64) -> Result<User, String> {
    Ok(User::new(id))
}

#[hitbox_fn::cached(prefix = "user")]
async fn hitboxed(id: u64) -> User {
    User::new(id)
}
