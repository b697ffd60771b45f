//! `write_behind`: what it takes to acknowledge a write, to bring what is pending into PostgreSQL, and to keep it until then.

mod acked;
mod flush;
mod memory;

use std::time::Duration;

use cache_runtime::{Cache, WriteBehind};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use tests::RedisServer;
use tokio::runtime::Builder;

use crate::report::{Report, progress};
use crate::workload::User;

/// So many tasks write at once.
const TASKS: usize = 64;

const XADD: &str = "raw-xadd";

/// A disk that is slow to sync is a figure here, and not a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Report {
    let mut report = Report::new("write_behind");
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            acked::measure(&mut report).await;
            flush::measure(&mut report).await;
            memory::measure(&mut report).await;
        });
    progress("");
    report
}

/// A cache that logs writes and runs none.
async fn logging_only(server: &RedisServer) -> Cache {
    Cache::builder()
        .url(&server.url())
        .expect("a valid url")
        .write_behind(WriteBehind::new().worker(false).log_timeout(PATIENCE))
        .build()
        .await
        .expect("the server runs")
}

/// Makes a call for each item, spread over the tasks.
async fn on_tasks<T, F, Fut>(items: Vec<T>, call: F)
where
    T: Clone + Send + 'static,
    F: Fn(T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let running: Vec<_> = items
        .chunks(items.len().div_ceil(TASKS))
        .map(|share| {
            let (share, call) = (share.to_vec(), call.clone());
            tokio::spawn(async move {
                for item in share {
                    call(item).await;
                }
            })
        })
        .collect();
    for task in running {
        task.await.expect("a subject panicked");
    }
}

fn users(ids: impl Iterator<Item = u64>) -> Vec<User> {
    ids.map(User::new).collect()
}

/// The bytes of a user in a stream, and nothing else: the floor of every log on Redis.
async fn xadd(mut connection: MultiplexedConnection, bytes: Vec<u8>) {
    let () = redis::cmd("XADD")
        .arg("log")
        .arg("*")
        .arg("a")
        .arg(bytes)
        .query_async(&mut connection)
        .await
        .expect("the server runs");
}

fn encoded<T: serde::Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain data can be written")
}

/// The connection that redis-rs gives by default, with more patience.
async fn connection(server: &RedisServer) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    Client::open(server.url())
        .expect("a valid url")
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .expect("the server runs")
}

async fn empty(mut connection: MultiplexedConnection) {
    let () = redis::cmd("FLUSHALL")
        .arg("SYNC")
        .query_async(&mut connection)
        .await
        .expect("the server runs");
}
