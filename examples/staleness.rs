//! A database that is slow, and then away: who waits, who gets an old value, and who an error.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Error, cached};

/// A database of one number that grows with each query.
#[derive(Default)]
struct Db {
    queries: AtomicU64,
    away: AtomicBool,
}

#[derive(Debug, thiserror::Error)]
enum DbError {
    #[error("the database is away")]
    Away,
    #[error(transparent)]
    Cache(#[from] Error),
}

impl Db {
    async fn query(&self) -> Result<u64, DbError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if self.away.load(Ordering::SeqCst) {
            return Err(DbError::Away);
        }
        Ok(self.queries.fetch_add(1, Ordering::SeqCst))
    }
}

static DB: std::sync::LazyLock<Db> = std::sync::LazyLock::new(Db::default);

/// From half a second on the old value is returned at once and replaced in the background. When the database is away it may be served for
/// another hour. A caller who finds nothing waits for 300 ms at most, whatever the database does.
#[cached(
    key = "visitors:<page>",
    ttl = "1s",
    stampede = "swr",
    refresh_after = "500ms",
    stale_if_error = "1h",
    timeout = "300ms"
)]
async fn visitors(page: &str) -> Result<u64, DbError> {
    // The page is a copy of the load's own: it may go on after its caller has been answered.
    let _ = page;
    DB.query().await
}

async fn call(what: &str) {
    let began = Instant::now();
    let answer = match visitors("/").await {
        Ok(count) => count.to_string(),
        Err(error) => error.to_string(),
    };
    println!(
        "{what:<42} {answer:<22} {:>6} ms",
        began.elapsed().as_millis()
    );
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let cache = Cache::builder().build().await?;
    cache.clone().install()?;
    let loads = || cache.stats().function(visitors::SPEC).loads;

    call("nothing there: waits for the load").await;
    call("a hit").await;

    tokio::time::sleep(Duration::from_millis(600)).await;
    call("past `refresh_after`: the old value").await;
    while visitors::peek("/")
        .await
        .is_none_or(|found| found.ok() == Some(0))
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    call("replaced meanwhile, nobody has waited").await;
    assert_eq!(loads(), 2);

    DB.away.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    call("past the TTL, and the database is away").await;
    visitors::invalidate("/").await?;
    call("invalidated: an old value would be wrong").await;

    let stats = cache.stats().function(visitors::SPEC);
    println!(
        "{} hits of which {} stale, {} loads of which {} in the background, {} failed, {} answered with an old value",
        stats.hits,
        stats.stale_hits,
        stats.loads,
        stats.refreshes,
        stats.load_errors,
        stats.stale_on_error
    );
    Ok(())
}
