//! Caches for what must hold on every backend.

use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder};

use crate::{RedisServer, within};

/// How long an operation may take in tests that are not about slow backends: a busy machine is not a backend that hangs.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How long leases and intents live here: whoever waits for one that was not given back waits until the test fails.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Runs the test in the scope of a cache in memory, and then in that of one on a Redis server of its own.
pub async fn on_each_backend(test: impl AsyncFn(Cache)) {
    // Shown if the test fails.
    println!("in memory:");
    let memory = in_memory().await;
    within(memory.scope(test(memory.clone()))).await;
    println!("on Redis:");
    let server = RedisServer::start().await;
    let redis = on_redis(&server).await;
    within(redis.scope(test(redis.clone()))).await;
}

/// A cache in memory.
pub async fn in_memory() -> Cache {
    patient(Cache::builder())
        .build()
        .await
        .expect("nothing to be wrong")
}

/// A cache on the server, in the default namespace: two of them are as two processes are.
pub async fn on_redis(server: &RedisServer) -> Cache {
    redis_builder(server).build().await.expect("a good URL")
}

/// The builder of [`on_redis`].
pub fn redis_builder(server: &RedisServer) -> CacheBuilder {
    patient(Cache::builder().url(&server.url()).expect("a good URL"))
}

fn patient(builder: CacheBuilder) -> CacheBuilder {
    builder
        .operation_timeout(PATIENCE)
        .lease_ttl(FOR_EVER)
        .intent_ttl(FOR_EVER)
}
