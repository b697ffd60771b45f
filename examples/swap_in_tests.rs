//! How to test cached code: a cache for each test, a clock to move, and counts of what happened.
//!
//! In a project the functions called from `main` would be `#[tokio::test]`s.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, Error, ManualClock, cached, carry, invalidates};

/// Stands for the bank, as a test's fake would.
#[derive(Debug, Default)]
struct Bank {
    cents: AtomicU32,
}

#[cached(key = "rate:<currency>", ttl = "1h")]
async fn exchange_rate(bank: &Bank, currency: &str) -> u32 {
    bank.cents.load(Ordering::Relaxed)
}

#[invalidates("rate:<currency>")]
async fn set_rate(bank: &Bank, currency: &str, cents: u32) {
    bank.cents.store(cents, Ordering::Relaxed);
}

/// `scope` gives everything inside this cache, whatever is installed: other tests never see its entries.
async fn a_second_call_is_a_hit_and_a_write_makes_a_miss() -> Result<(), Error> {
    let cache = Cache::builder().build().await?;
    cache
        .scope(async {
            let bank = Bank::default();
            exchange_rate(&bank, "EUR").await;
            exchange_rate(&bank, "EUR").await;
            set_rate(&bank, "EUR", 117).await;
            assert_eq!(exchange_rate(&bank, "EUR").await, 117);
        })
        .await;
    let stats = cache.stats().function(exchange_rate::SPEC);
    assert_eq!((stats.hits, stats.misses, stats.loads), (1, 2, 2));
    Ok(())
}

/// With a `ManualClock` an hour passes at once.
async fn a_rate_is_kept_for_an_hour() -> Result<(), Error> {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await?;
    cache
        .scope(async {
            let bank = Bank::default();
            assert_eq!(exchange_rate(&bank, "EUR").await, 0);
            // Changed behind the cache's back: no writer told it.
            bank.cents.store(117, Ordering::Relaxed);
            clock.advance(Duration::from_secs(59 * 60));
            assert_eq!(exchange_rate(&bank, "EUR").await, 0);
            clock.advance(Duration::from_secs(60));
            assert_eq!(exchange_rate(&bank, "EUR").await, 117);
        })
        .await;
    Ok(())
}

/// The scope belongs to the task. `carry` hands it to one that is spawned.
async fn spawned_work_can_be_given_the_scope() -> Result<(), Error> {
    let cache = Cache::builder().build().await?;
    let spawned = cache
        .scope(async {
            let bank = Bank::default();
            let work = carry(async move { exchange_rate(&bank, "EUR").await });
            tokio::spawn(work).await
        })
        .await;
    assert!(spawned.is_ok());
    assert_eq!(cache.stats().function(exchange_rate::SPEC).loads, 1);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // At the same time, as a test runner would.
    tokio::try_join!(
        a_second_call_is_a_hit_and_a_write_makes_a_miss(),
        a_rate_is_kept_for_an_hour(),
        spawned_work_can_be_given_the_scope(),
    )?;
    println!("three tests passed, side by side, each with a cache of its own");
    Ok(())
}
