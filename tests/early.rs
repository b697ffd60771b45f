//! `early` and `lock+early`: how often an entry is loaded before it expires, on the moved clock and from a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached, carry};
use tests::{Gate, eventually, idle, on_each_backend, within};

/// What a load takes.
const DELTA: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(60);
/// Calls while one load takes place.
const RATE_X_DELTA: u32 = 60;
const SEED: u64 = 20_150_901;

/// A loader that takes its time on the moved clock, and tells its results apart.
#[derive(Clone, Default)]
struct Source {
    clock: ManualClock,
    begun: Arc<AtomicU64>,
}

impl Source {
    async fn load(&self) -> u64 {
        let load = self.begun.fetch_add(1, SeqCst);
        self.clock.sleep(DELTA).await;
        load
    }

    fn begun(&self) -> u64 {
        self.begun.load(SeqCst)
    }
}

/// One mode, and the mean number of loads a generation that it is to have.
macro_rules! mode {
    ($name:ident, $stampede:literal, $beta:literal, $expected:expr) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            #[cached(key = "early", ttl = "60s", stampede = $stampede, beta = $beta)]
            async fn value(source: &Source) -> u64 {
                source.load().await
            }
            let expected: f64 = $expected;
            let found = mean_loads(
                $beta,
                |source| async move { value(&source).await },
                || value::peek(),
            )
            .await;
            println!(
                "{:<10} beta {:<3} {found:.2} loads a generation, expected {expected:.2}",
                $stampede, $beta
            );
            assert!(
                (found / expected - 1.0).abs() < 0.1,
                "{found} for {expected}"
            );
        }
    };
}

mode!(xfetch_with_beta_one_half, "early", 0.5, f64::exp(2.0));
mode!(xfetch_with_beta_one, "early", 1.0, f64::exp(1.0));
mode!(
    xfetch_with_beta_one_and_a_half,
    "early",
    1.5,
    f64::exp(1.0 / 1.5)
);
mode!(
    one_load_under_the_lock_with_beta_one_half,
    "lock+early",
    0.5,
    1.0
);
mode!(
    one_load_under_the_lock_with_beta_one,
    "lock+early",
    1.0,
    1.0
);
mode!(
    one_load_under_the_lock_with_beta_one_and_a_half,
    "lock+early",
    1.5,
    1.0
);

/// Calls at an even pace, entry after entry; what is far from its expiry is passed over, as nothing is drawn there.
async fn mean_loads<C, P>(beta: f64, call: impl Fn(Source) -> C, peek: impl Fn() -> P) -> f64
where
    C: Future<Output = u64> + Send + 'static,
    P: Future<Output = Option<u64>>,
{
    const GENERATIONS: u64 = 600;
    let source = Source::default();
    let builder = Cache::builder().clock(&source.clock).seed(SEED);
    // Nobody dies here: leases need no renewal while the clock leaps.
    let cache = builder.lease_ttl(TTL * 1000).build().await.unwrap();
    cache
        .scope(async {
            let pace = DELTA / RATE_X_DELTA;
            let first = tokio::spawn(carry(call(source.clone())));
            idle().await;
            source.clock.advance(DELTA);
            first.await.unwrap();
            let mut current = peek().await;
            for _ in 0..GENERATIONS {
                source.clock.advance(TTL - DELTA.mul_f64(14.0 * beta));
                idle().await;
                while peek().await.is_none_or(|value| Some(value) == current) {
                    tokio::spawn(carry(call(source.clone())));
                    idle().await;
                    source.clock.advance(pace);
                    idle().await;
                }
                current = peek().await;
            }
            (source.begun() - 1) as f64 / GENERATIONS as f64
        })
        .await
}

#[cached(key = "due:<id>", ttl = 60, stampede = "lock+early", beta = 1e9)]
async fn due(gate: &Gate, id: u64) -> Result<u64, String> {
    gate.pass().await;
    if id == 13 {
        return Err("unlucky".to_owned());
    }
    Ok(id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_are_served_while_one_loads_early() {
    on_each_backend(async |cache| {
        let gate = Gate::new();
        due::put(7, 1).await.unwrap();
        // Its load took no time, so nothing is drawn yet.
        assert_eq!(due(&gate, 7).await, Ok(1));
        assert_eq!(gate.count(), 0);
        due_soon(7).await;
        let loading = tokio::spawn(carry({
            let gate = gate.clone();
            async move { due(&gate, 7).await }
        }));
        gate.arrived(1).await;
        for _ in 0..100 {
            assert!(within(due(&gate, 7)).await.is_ok(), "served at once");
        }
        assert_eq!(gate.count(), 1);
        gate.open();
        assert_eq!(loading.await.unwrap(), Ok(7));
        assert_eq!(cache.stats().function(due::SPEC).refreshes, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_load_that_fails_costs_its_caller_nothing() {
    on_each_backend(async |cache| {
        let gate = Gate::new();
        gate.open();
        due_soon(13).await;
        assert_eq!(due(&gate, 13).await, Ok(1), "the entry is still good");
        assert_eq!(gate.count(), 1);
        let stats = cache.stats().function(due::SPEC);
        assert_eq!((stats.load_errors, stats.stale_on_error), (1, 0));
    })
    .await;
}

/// Stores a value whose load took so long that the next hit draws.
async fn due_soon(id: u64) {
    #[cached(key = "due:<id>", ttl = 60)]
    async fn slow(id: u64) -> Result<u64, String> {
        // Real time: Redis keeps its own, and so does the cache here.
        let began = std::time::Instant::now();
        eventually(tests::DEADLINE, || async {
            began.elapsed() > Duration::from_millis(50)
        })
        .await;
        Ok(1)
    }
    slow::refresh(id).await.unwrap();
}
