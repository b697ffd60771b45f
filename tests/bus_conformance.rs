//! The cases that every bus passes, on those that come with the crate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_runtime::backend::Token;
use cache_runtime::bus::{Bus, Event, Group, MemoryBus, Read, RedisBus, What};
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

/// The server's time is asked for from time to time; a read that has waited for long is no measure of it.
#[tokio::test]
async fn an_event_is_not_older_than_it_is() {
    let server = RedisServer::start().await;
    let bus = RedisBus::from_url(&server.url()).unwrap();
    let bus = bus.connect().await.unwrap();
    let (group, process) = (Group::of_region("here").unwrap(), Token::fresh());
    bus.join(&group).await.unwrap();
    // Longer than what is known of the server's time is trusted.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let read = bus.read(&group, process, Read::New, 10, tests::DEADLINE);
    let publish = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let event = Event {
            origin: group.clone(),
            is_for_origin: false,
            waited: Duration::ZERO,
            what: What::Everything,
        };
        let began = Instant::now();
        bus.publish(Token::fresh(), 1, &[event]).await.unwrap();
        began
    };
    let (read, began) = tokio::join!(read, publish);
    let age = read.unwrap().expect("a group")[0].age;
    // The number of the event is in whole milliseconds.
    let longest = began.elapsed() + Duration::from_millis(5);
    assert!(age <= longest, "{age:?}, not {longest:?}");
}
