//! Tests of what tasks of one process can do to each other, under [shuttle](https://docs.rs/shuttle): it runs each of them some thousand
//! times, and decides at each lock, atomic, notification, timer and spawn (`crate::sync`) which task goes on.
//!
//! `tests/run --interleavings` runs them, and `tests/run` after everything else:
//!
//! * `INTERLEAVINGS=100000 tests/run --interleavings` runs each that often under each scheduler, the random one and that of PCT (Burckhardt et al., "A
//!   Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010). Each run has schedules of its own, unless
//!   `SHUTTLE_RANDOM_SEED` gives a seed.
//! * A test that fails prints its schedule. `REPLAY=<schedule> tests/run --interleavings <test>` runs the test once more by it. Values that do not fit
//!   a line go into a file: `REPLAY=@path`.
//!
//! A task that waits for ever is found, as then none can go on; so is one that polls for ever, by the bound on steps.
//!
//! Every atomic is treated as sequentially consistent: an ordering that is too weak is not found here.

mod breaker;
mod flights;
mod leases;
mod log;
mod remote;
mod shim;
mod tags;
mod writes;

use std::fmt::Debug;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
use shuttle::{Config, MaxSteps, Runner};

use crate::backend::{Backend, Lease, LeaseMode, Life, Memory, Stored, Token, Typed};
use crate::key::Key;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::{Cache, ManualClock};

/// How often each test is run under each scheduler.
const RUNS: usize = 1000;

/// So many preemptions PCT places at random.
const DEPTH: usize = 3;

/// More steps than any of the tests takes: one that polls for ever takes more.
const STEPS: usize = 50_000;

/// Longer than any test's clock is moved.
const LONG: Duration = Duration::from_secs(600);

/// Runs the test under many schedules, or under the one that is to be run again.
fn explore<F: Future<Output = ()>>(test: impl Fn() -> F + Send + Sync + 'static) {
    let test = Arc::new(move || block_on(test()));
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    config.silence_warnings = true;
    if let Ok(schedule) = std::env::var("REPLAY") {
        let scheduler = match schedule.strip_prefix('@') {
            Some(path) => ReplayScheduler::new_from_file(path).expect("a file with a schedule"),
            None => ReplayScheduler::new_from_encoded(&schedule),
        };
        Runner::new(scheduler, config).run(move || test());
        return;
    }
    let runs = match std::env::var("INTERLEAVINGS") {
        Ok(runs) => runs.parse().expect("INTERLEAVINGS is a number"),
        Err(_) => RUNS,
    };
    let explored = catch_unwind(AssertUnwindSafe(|| {
        let again = Arc::clone(&test);
        Runner::new(RandomScheduler::new(runs), config.clone()).run(move || again());
        Runner::new(PctScheduler::new(DEPTH, runs), config).run(move || test());
    }));
    if let Err(panic) = explored {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("<test>");
        eprintln!(
            "to run it once more by the schedule above: REPLAY=<schedule> tests/run --interleavings {test}"
        );
        resume_unwind(panic);
    }
}

/// Waits for all of them.
async fn all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.expect("nobody aborts it"));
    }
    outputs
}

/// A task of the process that this cache is of.
fn task<F>(
    cache: &Cache,
    row: &Arc<Row>,
    work: impl FnOnce(Cache, Arc<Row>) -> F,
) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    spawn(work(cache.clone(), Arc::clone(row)))
}

/// A number below this one, drawn by the scheduler.
fn draw(below: usize) -> usize {
    thread_rng().gen_range(0..below)
}

/// Where a task has to wait for something elsewhere: others may go on, and it can be dropped. No more than that: what yields is
/// put last by PCT, and would so be the next to go on ever less often.
async fn pause() {
    let mut paused = false;
    poll_fn(|cx| {
        if paused {
            return Poll::Ready(());
        }
        paused = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A panic of which the hook says nothing: it is part of the test.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("on purpose"))
}

/// The table that is cached: one row with a version, and what its readers are told.
#[derive(Debug, Default)]
struct Row {
    version: AtomicU64,
    /// The last version of which somebody was told that nothing older is cached.
    told: AtomicU64,
    loading: AtomicUsize,
    most: AtomicUsize,
    loads: AtomicUsize,
}

impl Row {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Commits the next version.
    fn commit(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Says that this version's invalidation has returned.
    fn tell(&self, version: u64) {
        self.told.fetch_max(version, Ordering::SeqCst);
    }

    /// The oldest version that a read may yield which begins now.
    fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    /// Reads the version, and takes its time.
    async fn load(&self) -> u64 {
        let _under_way = UnderWay::new(self);
        let version = self.version();
        pause().await;
        version
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// The most loads that were under way together.
    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

struct UnderWay<'a>(&'a Row);

impl<'a> UnderWay<'a> {
    fn new(row: &'a Row) -> Self {
        row.loads.fetch_add(1, Ordering::SeqCst);
        let now = row.loading.fetch_add(1, Ordering::SeqCst) + 1;
        row.most.fetch_max(now, Ordering::SeqCst);
        Self(row)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.loading.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A store in memory, and the clock that it goes by.
fn memory() -> (Arc<Memory>, ManualClock) {
    let clock = ManualClock::new();
    let memory = Memory::builder().clock(&clock).build();
    (Arc::new(memory.expect("sound settings")), clock)
}

/// A process that uses this store.
async fn cache_on(backend: impl Backend, clock: &ManualClock) -> Cache {
    let builder = Cache::builder().backend(backend).clock(clock);
    builder.build().await.expect("sound settings")
}

/// One key of a store, without a cache before it.
#[derive(Clone)]
struct Entry {
    store: Arc<Memory>,
    key: Key,
}

impl Entry {
    fn of(store: &Arc<Memory>) -> Self {
        Self {
            store: Arc::clone(store),
            key: Key::from("row"),
        }
    }

    fn keys(&self) -> &[Key] {
        std::slice::from_ref(&self.key)
    }

    async fn lease(&self, ttl: Duration) -> (Token, Lease) {
        let token = Token::fresh();
        let asked = self
            .store
            .lease(&self.key, &[], token, ttl, LeaseMode::IfMissing);
        (token, asked.await.expect("it answers"))
    }

    async fn fill(&self, token: Token, version: u64) -> bool {
        let filled = self.store.fill(&self.key, token, stored(version), LONG);
        filled.await.expect("it answers")
    }

    async fn get(&self) -> Option<u64> {
        let found = self.store.get(&self.key).await.expect("it answers");
        found.map(|stored| version_of(&stored))
    }

    async fn invalidate(&self) {
        let done = self.store.invalidate(self.keys()).await;
        done.expect("it answers");
    }
}

fn stored(version: u64) -> Stored {
    Stored::Typed(Typed::new(Arc::new(version), Life::new(LONG)))
}

fn version_of(stored: &Stored) -> u64 {
    let Stored::Typed(typed) = stored else {
        panic!("values of this process are typed")
    };
    *typed.value.downcast_ref().expect("a version")
}

/// Fails if a read yielded what was older than it may be.
#[track_caller]
fn assert_no_older<T: PartialOrd + Debug + Copy>(found: T, least: T) {
    assert!(
        found >= least,
        "{found:?} was read after the invalidation for {least:?} had returned"
    );
}
