//! `pending/bytes`: what a pending write takes of Redis, against an entry in a stream with the same arguments and nothing else.
//!
//! With a value (`user`) its readers find it too, and its state names what is pending: that is kept once for each key, so with few keys a
//! write costs little more than its entry in the log.

use cache_runtime::{Cache, Error, cached};
use redis::aio::MultiplexedConnection;
use tests::RedisServer;

use super::{XADD, acked, connection, empty, encoded, logging_only, on_tasks, users, xadd};
use crate::report::{OURS, Over, Report, progress};

const WRITES: u64 = 100_000;
const FEW_KEYS: u64 = 100;

fn add(sum: &mut u64, more: u64) {
    *sum += more;
}

#[cached(
    pattern = "write-behind",
    key = "page:<page>",
    merge = add,
    codec = "postcard",
    max_pending = 1_000_000
)]
async fn count(page: u64, views: u64) -> Result<(), Error> {
    let _ = (page, views);
    Ok(())
}

pub(super) async fn measure(report: &mut Report) {
    let server = RedisServer::start().await;
    let (cache, raw) = (logging_only(&server).await, connection(&server).await);
    let all = users(0..WRITES);
    let few = users((0..WRITES).map(|write| write % FEW_KEYS));
    // What Redis keeps for scripts and connections is there before it is measured.
    acked::ours(&cache, users(0..1000)).await;
    let bench = Bench { server, cache, raw };

    for (case, users) in [("", all), (", 100 keys", few)] {
        let ours = bench.bytes(acked::ours(&bench.cache, users.clone())).await;
        let arguments = users.iter().map(encoded).collect();
        let raw = bench.bytes(bench.xadds(arguments)).await;
        bench.add(report, &format!("pending/bytes{case}"), ours, raw);
    }
    let ours = bench.bytes(bench.counts()).await;
    let arguments = (0..WRITES).map(|page| encoded(&(page, 1))).collect();
    let raw = bench.bytes(bench.xadds(arguments)).await;
    bench.add(report, "pending/bytes, counters", ours, raw);
}

struct Bench {
    server: RedisServer,
    cache: Cache,
    raw: MultiplexedConnection,
}

impl Bench {
    /// How many bytes each write takes.
    async fn bytes(&self, writes: impl Future<Output = ()>) -> f64 {
        progress("pending/bytes");
        empty(self.raw.clone()).await;
        let before = self.used().await;
        writes.await;
        (self.used().await - before) / WRITES as f64
    }

    async fn used(&self) -> f64 {
        let info: String = self.server.query(redis::cmd("INFO").arg("memory")).await;
        let used = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        used.and_then(|used| used.trim().parse().ok())
            .expect("Redis tells it")
    }

    async fn xadds(&self, arguments: Vec<Vec<u8>>) {
        let raw = self.raw.clone();
        on_tasks(arguments, move |bytes| xadd(raw.clone(), bytes)).await;
    }

    async fn counts(&self) {
        let cache = self.cache.clone();
        on_tasks((0..WRITES).collect(), move |page| {
            let cache = cache.clone();
            async move { cache.scope(count(page, 1)).await.expect("it is logged") }
        })
        .await;
    }

    fn add(&self, report: &mut Report, case: &str, ours: f64, raw: f64) {
        for (subject, bytes) in [(OURS, ours), (XADD, raw)] {
            report.add(case, subject, "bytes", Over::Median, bytes);
        }
    }
}
