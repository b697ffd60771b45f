//! Hot keys that expire under a steady crowd: what each mode loads, whom it keeps waiting, and for how long.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_runtime::Cache;
use tests::RedisServer;

use super::callers::{load, loads};
use super::runtime;
use crate::report::{OURS, Over, Report, progress};
use crate::workload::User;

const KEYS: u64 = 16;
const CALLERS: u64 = 128;
/// Between two calls of one caller.
const PAUSE: Duration = Duration::from_millis(4);
const SPAN: Duration = Duration::from_millis(2_500);
const ROUNDS: u64 = 3;
/// Half of a load: who is slower has waited for one.
const BLOCKED: Duration = Duration::from_millis(25);

/// One mode as a user writes it: four hundred milliseconds to live, loads of fifty.
macro_rules! modes {
    ($($name:ident = $mode:literal { $($argument:tt)* };)*) => {
        $(
            #[cache_runtime::cached(key = "hot:<id>", ttl = "400ms", stampede = $mode $($argument)*)]
            async fn $name(id: u64) -> User {
                load(id).await
            }
        )*

        async fn each_mode(place: &str, cache: &Cache, round: u64, report: &mut Report) {
            $(
                progress(&format!("hot keys that expire, {place}: round {round} of {ROUNDS}, {}", $mode));
                cache.clear().await.expect("the backend is there");
                let seen = cache.scope(crowd($name)).await;
                seen.add(report, &format!("expiring/{place}/{}", $mode), OURS);
            )*
        }
    };
}

modes! {
    none = "none" {};
    lock = "lock" {};
    early = "early" {};
    lock_early = "lock+early" {};
    swr = "swr" { , refresh_after = "300ms" };
}

pub(super) fn measure(report: &mut Report) {
    runtime().block_on(async {
        let server = RedisServer::start().await;
        let memory = Cache::builder().build().await;
        let redis = Cache::builder()
            .url(&server.url())
            .expect("a valid url")
            .build()
            .await;
        let (memory, redis) = (memory.expect("in memory"), redis.expect("the server runs"));
        let moka = moka::future::Cache::<String, User>::builder()
            .max_capacity(10_000)
            .time_to_live(Duration::from_millis(400))
            .build();
        for round in 1..=ROUNDS {
            each_mode("memory", &memory, round, report).await;
            each_mode("redis", &redis, round, report).await;
            progress(&format!(
                "hot keys that expire, memory: round {round} of {ROUNDS}, moka"
            ));
            moka.invalidate_all();
            let moka = moka.clone();
            let call = move |id: u64| {
                let moka = moka.clone();
                async move { moka.get_with(format!("hot:{id}"), load(id)).await }
            };
            crowd(call)
                .await
                .add(report, "expiring/memory/lock", "moka");
        }
    });
}

struct Seen {
    loads: u64,
    blocked: usize,
    slowest: Vec<Duration>,
}

impl Seen {
    fn add(mut self, report: &mut Report, case: &str, subject: &'static str) {
        self.slowest.sort();
        let p99 = self.slowest[self.slowest.len() * 99 / 100];
        let figures = [
            ("loads", "loads", self.loads as f64),
            (
                "blocked",
                "% of calls",
                100.0 * self.blocked as f64 / self.slowest.len() as f64,
            ),
            ("p99_ms", "ms", p99.as_secs_f64() * 1e3),
        ];
        for (name, unit, value) in figures {
            report.add(
                &format!("{case}/{name}"),
                subject,
                unit,
                Over::Median,
                value,
            );
        }
    }
}

/// A steady crowd. The first calls, of keys that were never there, are not counted.
async fn crowd<F, Fut>(call: F) -> Seen
where
    F: Fn(u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = User> + Send + 'static,
{
    let call = Arc::new(call);
    for id in 0..KEYS {
        tokio::spawn(cache_runtime::carry(call(id)))
            .await
            .expect("a subject panicked");
    }
    let before = loads();
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let call = Arc::clone(&call);
            tokio::spawn(cache_runtime::carry(async move {
                let mut times = Vec::new();
                let mut id = caller;
                while began.elapsed() < SPAN {
                    id = (id * 5 + 1) % KEYS;
                    let asked = Instant::now();
                    call(id).await;
                    times.push(asked.elapsed());
                    tokio::time::sleep(PAUSE).await;
                }
                times
            }))
        })
        .collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await.expect("a subject panicked"));
    }
    Seen {
        loads: loads() - before,
        blocked: times.iter().filter(|time| **time > BLOCKED).count(),
        slowest: times,
    }
}
