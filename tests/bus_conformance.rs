//! The cases that every bus passes, on those that come with the crate.

use std::sync::Arc;

use cache_runtime::bus::{Bus, MemoryBus, RedisBus};
use cache_runtime::testing::conformance::bus_cases;
use tests::RedisServer;

/// Runs all cases, each on a bus of its own, and gives the names of those that fail.
async fn failing(bus: impl AsyncFn(&'static str) -> Arc<dyn Bus>) -> Vec<&'static str> {
    let mut failing = Vec::new();
    for case in bus_cases() {
        let bus = bus(case.name()).await;
        if tokio::spawn(async move { case.run(bus).await })
            .await
            .is_err()
        {
            failing.push(case.name());
        }
    }
    failing
}

#[tokio::test]
async fn memory_passes_every_case() {
    let failing = failing(async |_| Arc::new(MemoryBus::new()) as Arc<dyn Bus>).await;
    assert_eq!(failing, [""; 0]);
}

#[tokio::test]
async fn redis_passes_every_case() {
    let server = RedisServer::start().await;
    let failing = failing(async |case| {
        let bus = RedisBus::from_url(&server.url()).unwrap().namespace(case);
        Arc::new(bus.connect().await.unwrap()) as Arc<dyn Bus>
    })
    .await;
    assert_eq!(failing, [""; 0]);
}
