//! `64/acked`: 64 tasks write users, each the next when its last is acknowledged.
//!
//! Nothing runs the writes meanwhile: what is measured is the way into the log and into the cache. A worker would take the same
//! processors, and more of them the faster the log is. By hand it is either one step, over the connection that redis-rs gives by default: the
//! log (`raw-xadd`) or the cached value (`raw-set`).

use std::time::Instant;

use cache_runtime::{Cache, Error, cached};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tests::RedisServer;

use super::{TASKS, XADD, connection, empty, encoded, logging_only, on_tasks, users, xadd};
use crate::report::{OURS, Over, Report, progress};
use crate::workload::{User, zipf};

const KEYS: usize = 10_000;
const WRITES: usize = 60_000;
const ROUNDS: usize = 9;

#[cached(
    pattern = "write-behind",
    key = "user:<user.id>",
    value = user,
    ttl = 300,
    codec = "postcard",
    max_pending = 1_000_000
)]
pub(super) async fn save(user: User) -> Result<(), Error> {
    // There is no database: these writes stay pending.
    drop(user);
    Ok(())
}

async fn set(mut connection: MultiplexedConnection, user: User) {
    let () = connection
        .set_ex(format!("raw:{}", user.id), encoded(&user), 300)
        .await
        .expect("the server runs");
}

pub(super) async fn measure(report: &mut Report) {
    let writes = users(zipf(KEYS, WRITES).into_iter());
    let in_memory = RedisServer::start().await;
    // The setting under which Redis keeps what it has acknowledged through a crash of the machine.
    let durable = RedisServer::builder().append_only().start().await;
    let cases = [("acked", in_memory), ("acked, AOF always", durable)];
    let mut subjects = Vec::new();
    for (_, server) in &cases {
        subjects.push((logging_only(server).await, connection(server).await));
    }
    for round in 1..=ROUNDS {
        for ((name, _), (cache, raw)) in cases.iter().zip(&subjects) {
            let case = format!("{TASKS}/{name}");
            for subject in [OURS, XADD, "raw-set"] {
                progress(&format!("{case}: round {round} of {ROUNDS}, {subject}"));
                empty(raw.clone()).await;
                let writes = writes.clone();
                let began = Instant::now();
                match subject {
                    OURS => ours(cache, writes).await,
                    XADD => by_hand(raw, writes, |raw, user| xadd(raw, encoded(&user))).await,
                    _ => by_hand(raw, writes, set).await,
                }
                let rate = WRITES as f64 / began.elapsed().as_secs_f64();
                report.add(&case, subject, "writes/s", Over::Median, rate);
            }
        }
    }
}

pub(super) async fn ours(cache: &Cache, writes: Vec<User>) {
    let cache = cache.clone();
    on_tasks(writes, move |user| {
        let cache = cache.clone();
        async move { cache.scope(save(user)).await.expect("it is logged") }
    })
    .await;
}

async fn by_hand<F, Fut>(connection: &MultiplexedConnection, writes: Vec<User>, write: F)
where
    F: Fn(MultiplexedConnection, User) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let connection = connection.clone();
    on_tasks(writes, move |user| write(connection.clone(), user)).await;
}
