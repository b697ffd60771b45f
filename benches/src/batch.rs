//! `batch`: a hundred keys on Redis at hit ratios 0, 50 and 100%, against MGET by hand and against a hundred single calls.
//!
//! By hand is what a team writes: one MGET, the missing rows in one query, one pipeline of SETs, nothing that keeps an old value from being
//! stored or a second caller from loading the same. The query is a pause of the length that one round trip to a database in the same
//! data centre takes; `bare` has a query that takes no time at all, so that what it shows is the cache alone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cache_runtime::{Cache, cached};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tests::RedisServer;
use tokio::runtime::Builder;

use crate::report::{OURS, Over, Report, progress};
use crate::workload::User;

const KEYS: u64 = 100;
const QUERY: Duration = Duration::from_millis(1);
const ROUNDS: u64 = 9;
const CALLS: u64 = 60;
const TTL: u64 = 300;

async fn query(ids: &[u64], takes: Duration) -> HashMap<u64, User> {
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    ids.iter().map(|&id| (id, User::new(id))).collect()
}

#[cached(key = "user:<ids[]>", ttl = 300, codec = "postcard")]
async fn users(takes: Duration, ids: &[u64]) -> HashMap<u64, User> {
    query(ids, takes).await
}

#[cached(key = "user:<id>", ttl = 300, codec = "postcard")]
async fn user(takes: Duration, id: u64) -> User {
    query(&[id], takes)
        .await
        .remove(&id)
        .expect("there is one for each id")
}

async fn by_hand(
    connection: &mut MultiplexedConnection,
    takes: Duration,
    ids: &[u64],
) -> HashMap<u64, User> {
    if ids.is_empty() {
        return HashMap::new();
    }
    let keys: Vec<String> = ids.iter().map(|id| format!("hand:{id}")).collect();
    let found: Vec<Option<Vec<u8>>> = connection.mget(&keys).await.expect("the server runs");
    let mut users = HashMap::with_capacity(ids.len());
    let mut missing = Vec::new();
    for (&id, bytes) in ids.iter().zip(found) {
        match bytes {
            Some(bytes) => {
                users.insert(id, postcard::from_bytes(&bytes).expect("what was stored"));
            }
            None => missing.push(id),
        }
    }
    if !missing.is_empty() {
        let mut stores = redis::pipe();
        for (id, user) in query(&missing, takes).await {
            let bytes = postcard::to_allocvec(&user).expect("a user can be written");
            stores.set_ex(format!("hand:{id}"), bytes, TTL).ignore();
            users.insert(id, user);
        }
        let () = stores
            .query_async(connection)
            .await
            .expect("the server runs");
    }
    users
}

pub(crate) fn run() -> Report {
    let mut report = Report::new("batch");
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let server = RedisServer::start().await;
        let client = redis::Client::open(server.url()).expect("a valid url");
        let mut connection = client
            .get_multiplexed_async_connection()
            .await
            .expect("the server runs");
        let cache = Cache::builder()
            .url(&server.url())
            .expect("a valid url")
            .build()
            .await;
        let cache = cache.expect("the server runs");
        let mut bench = Bench {
            next: 0,
            connection: &mut connection,
        };
        for round in 1..=ROUNDS {
            for (name, takes) in [("query", QUERY), ("bare", Duration::ZERO)] {
                for hits in [0, 50, 100] {
                    progress(&format!("round {round} of {ROUNDS}: {hits}% hits, {name}"));
                    let case = format!("{hits}%/{name}");
                    cache
                        .scope(bench.case(&case, hits, takes, &mut report))
                        .await;
                }
            }
        }
    });
    progress("");
    report
}

struct Bench<'a> {
    /// The first id that was never asked for.
    next: u64,
    connection: &'a mut MultiplexedConnection,
}

impl Bench<'_> {
    async fn case(&mut self, case: &str, hits: u64, takes: Duration, report: &mut Report) {
        let (mut ours, mut hand, mut single) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for _ in 0..CALLS {
            let ids = self.ids();
            let warm = &ids[..hits as usize];
            users(Duration::ZERO, warm).await;
            let began = Instant::now();
            assert_eq!(users(takes, &ids).await.len() as u64, KEYS);
            ours += began.elapsed();

            by_hand(self.connection, Duration::ZERO, warm).await;
            let began = Instant::now();
            assert_eq!(
                by_hand(self.connection, takes, &ids).await.len() as u64,
                KEYS
            );
            hand += began.elapsed();

            let ids = self.ids();
            users(Duration::ZERO, &ids[..hits as usize]).await;
            let began = Instant::now();
            let calls = ids.iter().map(|&id| user(takes, id));
            assert_eq!(all(calls).await as u64, KEYS);
            single += began.elapsed();
        }
        let figures = [
            (OURS, ours),
            ("MGET by hand", hand),
            ("100 single calls", single),
        ];
        for (subject, time) in figures {
            let micros = time.as_secs_f64() * 1e6 / CALLS as f64;
            report.add(case, subject, "us", Over::Median, micros);
        }
    }

    fn ids(&mut self) -> Vec<u64> {
        let first = self.next;
        self.next += KEYS;
        (first..self.next).collect()
    }
}

/// Runs the calls side by side in this task, as `join_all` does.
async fn all(calls: impl Iterator<Item = impl Future<Output = User>>) -> usize {
    let mut calls: Vec<_> = calls.map(|call| Some(Box::pin(call))).collect();
    let mut done = 0;
    std::future::poll_fn(|cx| {
        for call in &mut calls {
            if call
                .as_mut()
                .is_some_and(|call| call.as_mut().poll(cx).is_ready())
            {
                *call = None;
                done += 1;
            }
        }
        if done == calls.len() {
            std::task::Poll::Ready(done)
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}
