//! Loaders that fail while many wait: an error that can be cloned is shared, and any other makes no convoy.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::backend::Memory;
use cache_runtime::{Cache, ManualClock, cached};
use tests::{idle, within};
use tokio::task::JoinHandle;

/// What a load takes before it fails, on the moved clock.
const LOAD_TIME: Duration = Duration::from_millis(50);
const CALLERS: u64 = 100;

#[derive(Clone, Default)]
struct Source {
    clock: ManualClock,
    loads: Arc<AtomicU64>,
}

impl Source {
    async fn load(&self) -> u64 {
        let load = self.loads.fetch_add(1, SeqCst) + 1;
        self.clock.sleep(LOAD_TIME).await;
        load
    }

    fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }
}

#[derive(Debug, Clone)]
struct Shared(u64);

#[cached(key = "shared")]
async fn fails_shared(source: &Source) -> Result<u64, Shared> {
    Err(Shared(source.load().await))
}

#[derive(Debug)]
struct Single(u64);

#[cached(key = "single")]
async fn fails_single(source: &Source) -> Result<u64, Single> {
    Err(Single(source.load().await))
}

#[cached(key = "batch:<ids[]>")]
async fn batch_fails_single(source: &Source, ids: &[u64]) -> Result<HashMap<u64, u64>, Single> {
    let _ = ids;
    Err(Single(source.load().await))
}

fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    cache: &Cache,
    source: &Source,
    call: impl Fn(Source) -> F,
) -> Vec<JoinHandle<T>> {
    (0..CALLERS)
        .map(|_| tokio::spawn(cache.scope(call(source.clone()))))
        .collect()
}

/// Moves the clock by one load time after another until all have returned: how many it took.
async fn load_times<T>(source: &Source, callers: &[JoinHandle<T>]) -> u32 {
    let mut moved = 0;
    within(async {
        while !callers.iter().all(JoinHandle::is_finished) {
            idle().await;
            source.clock.advance(LOAD_TIME);
            moved += 1;
            idle().await;
        }
    })
    .await;
    moved
}

async fn on_a_moved_clock() -> (Cache, Source) {
    let source = Source::default();
    let cache = Cache::builder().clock(&source.clock).build().await;
    (cache.unwrap(), source)
}

#[tokio::test(start_paused = true)]
async fn an_error_that_can_be_cloned_reaches_every_caller_from_one_load() {
    let (cache, source) = on_a_moved_clock().await;
    let callers = spawn(&cache, &source, |source| async move {
        fails_shared(&source).await.unwrap_err().0
    });
    assert_eq!(load_times(&source, &callers).await, 1);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 1);
    }
    assert_eq!(source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_an_error_that_cannot_be_cloned_the_last_of_a_hundred_returns_within_three_load_times()
{
    let (cache, source) = on_a_moved_clock().await;
    let callers = spawn(&cache, &source, |source| async move {
        fails_single(&source).await.unwrap_err().0
    });
    let moved = load_times(&source, &callers).await;
    assert!(moved <= 3, "the last caller waited for {moved} load times");
    each_has_an_error_of_its_own(callers).await;
    assert!(source.loads() <= CALLERS + 1, "{} loads", source.loads());
}

#[tokio::test(start_paused = true)]
async fn a_failing_batch_makes_no_convoy_either() {
    let (cache, source) = on_a_moved_clock().await;
    let callers = spawn(&cache, &source, |source| async move {
        batch_fails_single(&source, &[1, 2, 3]).await.unwrap_err().0
    });
    let moved = load_times(&source, &callers).await;
    assert!(moved <= 3, "the last caller waited for {moved} load times");
    each_has_an_error_of_its_own(callers).await;
    assert!(source.loads() <= CALLERS + 1, "{} loads", source.loads());
}

/// A hundred callers in ten processes: caches on one store do not know each other.
async fn in_ten_processes<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    call: impl Fn(Source) -> F,
) -> (u32, Source) {
    let source = Source::default();
    let store = Memory::builder().clock(&source.clock).build().unwrap();
    let store = Arc::new(store);
    let mut callers = Vec::new();
    for _ in 0..10 {
        let builder = Cache::builder().clock(&source.clock);
        let cache = builder.backend(store.clone()).build().await.unwrap();
        for _ in 0..CALLERS / 10 {
            callers.push(tokio::spawn(cache.scope(call(source.clone()))));
        }
    }
    (load_times(&source, &callers).await, source)
}

#[tokio::test(start_paused = true)]
async fn processes_make_no_convoy_of_a_failing_load() {
    let (moved, source) =
        in_ten_processes(|source| async move { fails_single(&source).await.unwrap_err().0 }).await;
    assert!(moved <= 4, "the last caller waited for {moved} load times");
    assert!(source.loads() <= CALLERS + 1, "{} loads", source.loads());
    let (moved, source) =
        in_ten_processes(|source| async move { fails_shared(&source).await.unwrap_err().0 }).await;
    assert!(moved <= 4, "the last caller waited for {moved} load times");
    assert!(source.loads() <= 12, "{} loads", source.loads());
}

#[tokio::test(start_paused = true)]
async fn processes_make_no_convoy_of_what_there_is_none_of() {
    #[cached(key = "none")]
    async fn none(source: &Source) -> Option<u64> {
        source.load().await;
        None
    }
    #[cached(key = "none:<ids[]>")]
    async fn none_of(source: &Source, ids: &[u64]) -> HashMap<u64, u64> {
        let _ = ids;
        source.load().await;
        HashMap::new()
    }
    let (moved, source) = in_ten_processes(|source| async move { none(&source).await }).await;
    assert!(moved <= 4, "the last caller waited for {moved} load times");
    assert!(source.loads() <= 12, "{} loads", source.loads());
    let (moved, source) =
        in_ten_processes(|source| async move { none_of(&source, &[1, 2]).await }).await;
    assert!(moved <= 4, "the last caller waited for {moved} load times");
    assert!(source.loads() <= 12, "{} loads", source.loads());
}

async fn each_has_an_error_of_its_own(callers: Vec<JoinHandle<u64>>) {
    let mut errors = HashSet::new();
    for caller in callers {
        assert!(errors.insert(caller.await.unwrap()));
    }
}
