//! Leaders that are dropped or panic, in every mode: one of those who wait goes on at once, and loads stay one at a time.
//!
//! Leases live for an hour here, but for one test: whoever waits for one that was not given back waits until the test fails. For leaders that cannot
//! give theirs back, see `killed_leaders.rs`.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_runtime::{Cache, cached, carry};
use tests::{
    DEADLINE, Gate, PATIENCE, RedisServer, eventually, on_each_backend, once_begun, redis_builder,
    within,
};

use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long the lease lives that nobody can give back.
const SHORT: Duration = Duration::from_millis(400);

/// A loader that waits at a gate, counts, and panics on demand.
#[derive(Clone, Default)]
struct Source {
    gate: Gate,
    panic: Arc<Notify>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    /// Calls that have looked into the cache, or sent it their question.
    begun: usize,
    spawned: usize,
    loads: u64,
    loads_of: HashMap<u64, u64>,
    running: BTreeMap<u64, Vec<u64>>,
    most_at_once: usize,
}

impl Source {
    /// Its result is the number of the load, from 1.
    async fn load(&self, ids: &[u64]) -> u64 {
        let running = Running::begin(self, ids);
        tokio::select! {
            biased;
            () = self.panic.notified() => panic!("on demand"),
            () = self.gate.pass() => running.number,
        }
    }

    fn counts<T>(&self, read: impl FnOnce(&mut Counts) -> T) -> T {
        read(&mut self.counts.lock().unwrap())
    }

    /// The oldest load does nothing from here on, although what it holds is dropped a moment later.
    fn dropped(&self) {
        self.counts(|counts| counts.running.pop_first());
    }

    fn loads(&self) -> u64 {
        self.counts(|counts| counts.loads)
    }

    /// The most loads of one element that ran side by side.
    fn most_at_once(&self) -> usize {
        self.counts(|counts| counts.most_at_once)
    }
}

/// A load under way, counted until it ends.
struct Running {
    source: Source,
    number: u64,
}

impl Running {
    fn begin(source: &Source, ids: &[u64]) -> Self {
        let number = source.counts(|counts| {
            counts.loads += 1;
            counts.running.insert(counts.loads, ids.to_vec());
            for id in ids {
                *counts.loads_of.entry(*id).or_default() += 1;
                let running = counts.running.values().flatten();
                let at_once = running.filter(|running| *running == id).count();
                counts.most_at_once = counts.most_at_once.max(at_once);
            }
            counts.loads
        });
        let source = source.clone();
        Self { source, number }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.source
            .counts(|counts| counts.running.remove(&self.number));
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A mode, as the tests use it: a call, and what is stored.
struct Mode {
    call: fn(Source) -> Boxed<u64>,
    stored: fn() -> Boxed<Option<u64>>,
}

impl Mode {
    fn spawn(&self, source: &Source) -> JoinHandle<u64> {
        let (source, call) = (source.clone(), self.call);
        source.counts(|counts| counts.spawned += 1);
        tokio::spawn(carry(once_begun(call(source.clone()), move || {
            source.counts(|counts| counts.begun += 1);
        })))
    }

    /// Callers, each of which has begun.
    async fn spawn_many(&self, source: &Source, count: usize) -> Vec<JoinHandle<u64>> {
        let callers = (0..count).map(|_| self.spawn(source)).collect();
        eventually(DEADLINE, async || {
            source.counts(|counts| counts.begun == counts.spawned)
        })
        .await;
        callers
    }

    /// An entry that the next hits replace, stored by load 1; and the leader that does so, at the gate of `source`.
    async fn refresh(&self, source: &Source) -> Vec<JoinHandle<u64>> {
        let first = self.spawn(source);
        source.gate.arrived(1).await;
        source.gate.open();
        assert_eq!(within(first).await.unwrap(), 1);
        source.gate.close();
        self.until_load(2, source).await
    }

    /// Calls until load `number` is under way.
    async fn until_load(&self, number: u64, source: &Source) -> Vec<JoinHandle<u64>> {
        let calls = Mutex::new(Vec::new());
        eventually(DEADLINE, async || {
            let call = self.spawn(source);
            let came = async || source.loads() >= number || call.is_finished();
            eventually(DEADLINE, came).await;
            calls.lock().unwrap().push(call);
            source.loads() >= number
        })
        .await;
        calls.into_inner().unwrap()
    }
}

async fn all<T>(calls: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for call in calls {
        results.push(within(call).await.unwrap());
    }
    results
}

#[derive(Clone, Copy)]
enum Fault {
    Dropped,
    Panics,
}

impl Fault {
    /// Ends the load of this caller, which is the oldest.
    async fn befall<T>(self, leader: JoinHandle<T>, source: &Source) {
        match self {
            Self::Dropped => {
                source.dropped();
                leader.abort();
            }
            Self::Panics => source.panic.notify_one(),
        }
        let error = within(leader).await.err().expect("it has no result");
        assert!(error.is_cancelled() || error.is_panic());
    }
}

macro_rules! mode {
    ($name:ident($($arguments:tt)*), $($test:ident: $story:ident($fault:ident);)*) => {
        mod $name {
            use super::*;

            #[cached(key = "item:<id>", ttl = "1h", $($arguments)*)]
            async fn item(source: &Source, id: u64) -> u64 {
                source.load(&[id]).await
            }

            const MODE: Mode = Mode {
                call: |source| Box::pin(async move { item(&source, 7).await }),
                stored: || Box::pin(item::peek(7)),
            };

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    $story(&MODE, Fault::$fault).await;
                }
            )*
        }
    };
}

mode! {
    none(stampede = "none"),
    a_dropped_leader_kept_nobody_and_leaves_no_lease: nobody_waits(Dropped);
    a_panicking_leader_kept_nobody_and_leaves_no_lease: nobody_waits(Panics);
}

mode! {
    lock(stampede = "lock"),
    a_dropped_leader_is_followed_by_one_of_those_who_wait: next_in_line(Dropped);
    a_panicking_leader_is_followed_by_one_of_those_who_wait: next_in_line(Panics);
}

mode! {
    early(stampede = "early", beta = 1e12),
    a_dropped_leader_is_followed_by_one_of_those_who_wait: next_in_line(Dropped);
    a_panicking_leader_is_followed_by_one_of_those_who_wait: next_in_line(Panics);
    a_dropped_early_leader_kept_nobody_and_leaves_no_lease: nobody_waits_for_early(Dropped);
    a_panicking_early_leader_kept_nobody_and_leaves_no_lease: nobody_waits_for_early(Panics);
}

mode! {
    lock_and_early(stampede = "lock+early", beta = 1e12),
    a_dropped_leader_is_followed_by_one_of_those_who_wait: next_in_line(Dropped);
    a_panicking_leader_is_followed_by_one_of_those_who_wait: next_in_line(Panics);
    a_dropped_early_leader_is_followed_by_one_of_those_who_are_served: next_refresh(Dropped);
    a_panicking_early_leader_is_followed_by_one_of_those_who_are_served: next_refresh(Panics);
}

mod batch {
    use super::*;

    #[cached(key = "item:<ids[]>", ttl = "1h")]
    async fn items(source: &Source, ids: &[u64]) -> HashMap<u64, u64> {
        let load = source.load(ids).await;
        ids.iter().map(|id| (*id, load)).collect()
    }

    /// Its entries are those of the batch.
    #[cached(key = "item:<id>", ttl = "1h")]
    async fn item(id: u64) -> Option<u64> {
        Some(id)
    }

    const MODE: Mode = Mode {
        call: |source| Box::pin(async move { items(&source, &[7]).await[&7] }),
        stored: || Box::pin(async { item::peek(7).await.flatten() }),
    };

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_dropped_leader_is_followed_by_one_of_those_who_wait() {
        next_in_line(&MODE, Fault::Dropped).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panicking_leader_is_followed_by_one_of_those_who_wait() {
        next_in_line(&MODE, Fault::Panics).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_element_of_a_dropped_leader_is_taken_over_by_one_of_those_who_want_it() {
        each_element_is_taken_over(Fault::Dropped).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_element_of_a_panicking_leader_is_taken_over_by_one_of_those_who_want_it() {
        each_element_is_taken_over(Fault::Panics).await;
    }

    async fn each_element_is_taken_over(fault: Fault) {
        on_each_backend(async |_| {
            let source = Source::default();
            let spawn = |ids: &'static [u64]| {
                let source = source.clone();
                let begun = source.clone();
                let call = async move { items(&source, ids).await };
                tokio::spawn(carry(once_begun(call, move || {
                    begun.counts(|counts| counts.begun += 1);
                })))
            };
            let leader = spawn(&[1, 2, 3]);
            source.gate.arrived(1).await;
            // Two that only wait, and two that have something to load before.
            let wanted: [&'static [u64]; 4] = [&[2, 3], &[3, 1], &[4, 1, 2], &[5, 3]];
            let others = wanted.map(spawn);
            source.gate.arrived(3).await;
            eventually(DEADLINE, async || source.counts(|counts| counts.begun) == 5).await;
            fault.befall(leader, &source).await;
            source.gate.arrived(4).await;
            source.gate.open();
            for (call, ids) in others.into_iter().zip(wanted) {
                let found = within(call).await.unwrap();
                assert_eq!(found.len(), ids.len());
                assert!(ids.iter().all(|id| found[id] > 1));
            }
            let loads_of = source.counts(|counts| counts.loads_of.clone());
            assert_eq!(
                loads_of,
                HashMap::from([(1, 2), (2, 2), (3, 2), (4, 1), (5, 1)])
            );
            assert_eq!(source.most_at_once(), 1);
        })
        .await;
    }
}

mode! {
    swr(stampede = "swr", refresh_after = "1ms"),
    a_dropped_leader_is_followed_by_one_of_those_who_wait: next_in_line(Dropped);
    a_panicking_leader_is_followed_by_one_of_those_who_wait: next_in_line(Panics);
    a_refresh_whose_runtime_is_dropped_is_followed_by_another: next_background_refresh(Dropped);
    a_panicking_refresh_is_followed_by_another: next_background_refresh(Panics);
}

/// Without a value: those who wait share one more load.
async fn next_in_line(mode: &Mode, fault: Fault) {
    on_each_backend(async |_| {
        let source = Source::default();
        let leader = mode.spawn(&source);
        source.gate.arrived(1).await;
        let waiters = mode.spawn_many(&source, 50).await;
        assert_eq!(source.loads(), 1);
        fault.befall(leader, &source).await;
        source.gate.arrived(2).await;
        let late = mode.spawn_many(&source, 50).await;
        source.gate.open();
        assert_eq!(all(waiters).await, [2; 50]);
        assert_eq!(all(late).await, [2; 50]);
        assert_eq!((source.loads(), source.most_at_once()), (2, 1));
        assert_eq!((mode.stored)().await, Some(2));
    })
    .await;
}

/// Without a value, in a mode without a lock: each loads for itself, and once the leader is gone one stores.
async fn nobody_waits(mode: &Mode, fault: Fault) {
    on_each_backend(async |_| {
        let source = Source::default();
        let leader = mode.spawn(&source);
        source.gate.arrived(1).await;
        let others = mode.spawn_many(&source, 10).await;
        source.gate.arrived(11).await;
        fault.befall(leader, &source).await;
        source.gate.open();
        within(async { all(others).await }).await;
        stores_again(mode, &source).await;
    })
    .await;
}

/// The lease was given back: the next load is stored.
async fn stores_again(mode: &Mode, source: &Source) {
    eventually(DEADLINE, async || {
        let loaded = within(mode.spawn(source)).await.unwrap();
        (mode.stored)().await == Some(loaded)
    })
    .await;
}

/// With a value that is drawn to be replaced, in a mode without a lock: the same.
async fn nobody_waits_for_early(mode: &Mode, fault: Fault) {
    on_each_backend(async |_| {
        let source = Source::default();
        let mut leader = mode.refresh(&source).await;
        let others = mode.spawn_many(&source, 10).await;
        eventually(DEADLINE, async || source.loads() >= 12).await;
        fault.befall(leader.remove(0), &source).await;
        source.gate.open();
        within(async { all(others).await }).await;
        stores_again(mode, &source).await;
    })
    .await;
}

/// With a value that is to be replaced: everybody has it meanwhile, and another replaces it.
async fn next_refresh(mode: &Mode, fault: Fault) {
    on_each_backend(async |_| {
        let source = Source::default();
        let mut calls = mode.refresh(&source).await;
        let leader = calls.remove(0);
        let served = mode.spawn_many(&source, 50).await;
        assert_eq!(all(served).await, [1; 50], "nobody waits");
        fault.befall(leader, &source).await;
        another_refreshes(mode, &source).await;
    })
    .await;
}

/// The same, where the load is in nobody's call but in the background.
async fn next_background_refresh(mode: &'static Mode, fault: Fault) {
    match fault {
        Fault::Panics => {
            on_each_backend(async |_| lose_background_refresh(mode, fault).await).await;
        }
        // Nothing is left to send a word to a server: there the lease has to end by itself.
        Fault::Dropped => {
            let server = RedisServer::start().await;
            for builder in [Cache::builder(), redis_builder(&server)] {
                let builder = builder.operation_timeout(PATIENCE).lease_ttl(SHORT);
                let cache = builder.build().await.unwrap();
                within(cache.scope(lose_background_refresh(mode, fault))).await;
            }
        }
    }
}

async fn lose_background_refresh(mode: &'static Mode, fault: Fault) {
    let source = Source::default();
    let mut background = Background::default();
    let begin = source.clone();
    let begin = carry(async move { all(mode.refresh(&begin).await).await });
    let served = background.runtime().spawn(begin).await.unwrap();
    assert!(served.iter().all(|value| *value == 1), "{served:?}");
    let served = mode.spawn_many(&source, 50).await;
    assert_eq!(all(served).await, [1; 50], "nobody waits");
    assert_eq!(source.loads(), 2);
    match fault {
        Fault::Dropped => {
            source.dropped();
            drop(background);
        }
        Fault::Panics => source.panic.notify_one(),
    }
    another_refreshes(mode, &source).await;
}

/// A runtime that takes its tasks with it when it is dropped.
#[derive(Default)]
struct Background(Option<Runtime>);

impl Background {
    fn runtime(&mut self) -> &Runtime {
        self.0.get_or_insert_with(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(1).enable_all().build().unwrap()
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Load 2 was lost: load 3 comes, alone, while everybody else is served what load 1 had stored.
async fn another_refreshes(mode: &Mode, source: &Source) {
    let calls = mode.until_load(3, source).await;
    let served = mode.spawn_many(source, 50).await;
    assert_eq!(all(served).await, [1; 50]);
    source.gate.open();
    assert!(all(calls).await.iter().all(|value| [1, 3].contains(value)));
    assert_eq!((source.loads(), source.most_at_once()), (3, 1));
    eventually(DEADLINE, async || (mode.stored)().await == Some(3)).await;
}
