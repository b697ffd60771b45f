//! The cache fails, the application does not: calls go to their loaders, and the cache is used again once it is back.

use std::time::{Duration, Instant};

use cache_runtime::backend::Memory;
use cache_runtime::testing::{Fault, Faulty};
use cache_runtime::{Cache, Error, cached};

#[cached(key = "square:<n>", ttl = "1m")]
async fn square(n: u64) -> u64 {
    n * n
}

async fn call(what: &str) {
    let began = Instant::now();
    assert_eq!(square(12).await, 144);
    println!("{what:<30} {:>8.2?}", began.elapsed());
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // A backend whose faults can be turned on. With a server it is a cable pulled, or a process stopped.
    let (backend, faults) = Faulty::new(Memory::new());
    let cache = Cache::builder()
        .backend(backend)
        .operation_timeout(Duration::from_millis(50))
        .build()
        .await?;
    cache.clone().install()?;

    call("a miss").await;
    call("a hit").await;

    // No answer comes. A call waits for 50 ms at the most, whatever it would have asked; and after a few of them ...
    faults.set(Fault::Hung);
    for _ in 0..3 {
        call("hung").await;
    }
    // ... the circuit breaker opens and calls do not wait at all.
    assert!(cache.stats().backend.breaker_open);
    call("hung, the breaker is open").await;

    faults.heal();
    while cache.stats().backend.breaker_open {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    call("back: a hit").await;

    let stats = cache.stats().function(square::SPEC);
    println!(
        "{} hits, {} loads, {} errors that no caller saw",
        stats.hits, stats.loads, stats.errors
    );
    Ok(())
}
