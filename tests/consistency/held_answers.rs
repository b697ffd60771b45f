//! Answers of the backend that are on their way while something else happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Backend, BackendFuture, Lease, LeaseMode, Stored, Token};
use cache_runtime::{Cache, Key};
use tests::{DEADLINE, Gate, RedisServer, eventually, on_redis, within};
use tokio::task::JoinHandle;

use super::{Row, fenced, write};

/// A server whose answers wait at gates, when it has given them.
#[derive(Debug)]
struct Held {
    inner: Redis,
    gates: Gates,
}

#[derive(Debug, Clone)]
struct Gates {
    leases: Gate,
    fills: Gate,
    /// Invalidations wait before the server hears of them.
    invalidations: Gate,
    /// So many have looked the key up.
    looked: Arc<AtomicUsize>,
}

/// A cache on such a server, with its gates open.
async fn held(server: &RedisServer, patience: Duration) -> (Cache, Gates) {
    let gates = Gates {
        leases: Gate::new(),
        fills: Gate::new(),
        invalidations: Gate::new(),
        looked: Arc::default(),
    };
    for gate in [&gates.leases, &gates.fills, &gates.invalidations] {
        gate.open();
    }
    let redis = Redis::from_url(&server.url()).unwrap();
    let backend = Held {
        inner: redis.connect().await.unwrap(),
        gates: gates.clone(),
    };
    let builder = Cache::builder().backend(backend);
    let cache = builder.operation_timeout(patience).build().await.unwrap();
    (cache, gates)
}

impl Backend for Held {
    tests::forward!(
        format,
        renew,
        release,
        put,
        begin_write,
        renew_write,
        end_write,
        put_if_newer,
        versions,
        invalidate_tags,
        bump_namespace,
        wait,
        clear,
        ping,
    );

    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>> {
        Box::pin(async move {
            let found = self.inner.get(key).await;
            self.gates.looked.fetch_add(1, SeqCst);
            found
        })
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        Box::pin(async move {
            let answer = self.inner.lease(key, tags, token, ttl, mode).await;
            self.gates.leases.pass().await;
            answer
        })
    }

    fn name(&self) -> &'static str {
        "held"
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        Box::pin(async move {
            let answer = self.inner.fill(key, token, value, keep).await;
            self.gates.fills.pass().await;
            answer
        })
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            self.gates.invalidations.pass().await;
            self.inner.invalidate(keys).await
        })
    }
}

fn call(cache: &Cache, row: &Arc<Row>) -> JoinHandle<u64> {
    let (cache, row) = (cache.clone(), row.clone());
    tokio::spawn(async move { cache.scope(fenced(&row, 7)).await })
}

/// On one thread: who has looked has also come to the question, if there is one.
#[tokio::test]
async fn a_caller_after_an_invalidation_does_not_take_the_answer_to_an_earlier_question() {
    let server = RedisServer::start().await;
    let elsewhere = on_redis(&server).await;
    let (here, gates) = held(&server, DEADLINE).await;
    let row = Row::open();
    row.read.close();
    let leader = call(&here, &row);
    row.read.arrived(1).await;
    gates.leases.close();
    // "Busy, by the leader's token": said before the invalidation, heard after it.
    let in_time = call(&here, &row);
    gates.leases.arrived(2).await;
    elsewhere.scope(write(&row, 7, 1)).await;
    let late = call(&here, &row);
    eventually(DEADLINE, async || gates.looked.load(SeqCst) == 3).await;
    gates.leases.open();
    // It asks for itself, is told of no load, and leads one.
    row.read.arrived(2).await;
    row.read.open();
    assert_eq!(within(leader).await.unwrap(), 0);
    assert_eq!(within(in_time).await.unwrap(), 0);
    assert_eq!(within(late).await.unwrap(), 1);
}

/// On one thread: who was woken before the store has returned when it has begun.
#[tokio::test]
async fn those_who_wait_are_woken_after_the_value_is_stored() {
    let server = RedisServer::start().await;
    let (cache, gates) = held(&server, DEADLINE).await;
    let row = Row::open();
    row.read.close();
    let leader = call(&cache, &row);
    row.read.arrived(1).await;
    let waiter = call(&cache, &row);
    gates.leases.arrived(2).await;
    gates.fills.close();
    row.read.open();
    gates.fills.arrived(1).await;
    assert!(!waiter.is_finished());
    gates.fills.open();
    assert_eq!(within(leader).await.unwrap(), 0);
    assert_eq!(within(waiter).await.unwrap(), 0);
    assert_eq!(row.loads.load(SeqCst), 1);
}

/// The server answers everything else: what it does not hear of is all that keeps its value from being served.
#[tokio::test]
async fn a_value_is_not_served_while_its_invalidation_is_being_delivered() {
    let server = RedisServer::start().await;
    let (cache, gates) = held(&server, Duration::from_millis(50)).await;
    let row = Row::open();
    assert_eq!(within(call(&cache, &row)).await.unwrap(), 0);
    gates.invalidations.close();
    cache.scope(write(&row, 7, 1)).await;
    assert_eq!(cache.stats().backend.undelivered_invalidations, 1);
    gates.invalidations.arrived(2).await;
    assert_eq!(within(call(&cache, &row)).await.unwrap(), 1);
    gates.invalidations.open();
    eventually(DEADLINE, async || !cache.stats().backend.breaker_open).await;
    assert_eq!(within(call(&cache, &row)).await.unwrap(), 1);
}
