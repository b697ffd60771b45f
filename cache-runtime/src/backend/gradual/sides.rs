//! The two backends, and what is known of the new one: whether it answers, and how much of it is used.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::clocks::Clocks;
use super::leases::Leases;
use super::permit::{self, Permit};
use super::route::Route;
use crate::backend::{Backend, BackendFuture};
use crate::error::{BackendError, BackendErrorKind};
use crate::guard::Budget;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::race;

/// So many operations in a row that the new backend fails end the roll-out.
const FAILURES: u32 = 3;
/// After that it is left alone for so long.
const REST: Duration = Duration::from_millis(250);
/// How often a process that changes nothing itself looks for the permit.
const LOOKED_FOR: Duration = Duration::from_millis(250);
/// How long it waits for the answer.
const ANSWERED: Duration = Duration::from_secs(1);

/// Which keys never move.
pub(super) type Stays = Box<dyn Fn(&Key) -> bool + Send + Sync>;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
}

/// Both backends.
pub(super) struct Sides {
    pub(super) old: Arc<dyn Backend>,
    pub(super) new: Arc<dyn Backend>,
    pub(super) route: Route,
    pub(super) of_old: Tally,
    pub(super) of_new: Tally,
    pub(super) patience: Duration,
    pub(super) settle: Duration,
    pub(super) stays: Option<Stays>,
    pub(super) clocks: Clocks,
    pub(super) leases: Leases,
    health: Health,
}

/// What one side was asked.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) reads: AtomicU64,
    pub(super) hits: AtomicU64,
    pub(super) operations: AtomicU64,
    pub(super) errors: AtomicU64,
}

impl Tally {
    pub(super) fn read(&self, found: bool) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.hits.fetch_add(u64::from(found), Ordering::Relaxed);
    }
}

/// How the new backend has been answering.
#[derive(Debug)]
struct Health {
    made: Instant,
    failures: AtomicU32,
    resting: AtomicBool,
    /// Until when, in milliseconds since it was made.
    until: AtomicU64,
    /// How often the roll-out was ended from here, and why the last time.
    endings: AtomicU64,
    why: Mutex<Option<String>>,
}

impl fmt::Debug for Sides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gradual")
            .field("old", &self.old)
            .field("new", &self.new)
            .field("share", &self.route.share())
            .finish_non_exhaustive()
    }
}

impl Sides {
    pub(super) fn new(
        old: Arc<dyn Backend>,
        new: Arc<dyn Backend>,
        patience: Duration,
        settle: Duration,
        stays: Option<Stays>,
    ) -> Self {
        Self {
            old,
            new,
            route: Route::default(),
            of_old: Tally::default(),
            of_new: Tally::default(),
            patience,
            settle,
            stays,
            clocks: Clocks::default(),
            leases: Leases::default(),
            health: Health {
                made: Instant::now(),
                failures: AtomicU32::new(0),
                resting: AtomicBool::new(false),
                until: AtomicU64::new(0),
                endings: AtomicU64::new(0),
                why: Mutex::default(),
            },
        }
    }

    /// Looks for the permit now and then, for as long as the backend lives.
    pub(super) fn follow(self: &Arc<Self>, runtime: &Handle) {
        let weak = Arc::downgrade(self);
        runtime.spawn(async move {
            while let Some(sides) = weak.upgrade() {
                let looked = sides.old.get(permit::key());
                if let Ok(Ok(found)) = tokio::time::timeout(ANSWERED, looked).await {
                    sides.route.learn(found.as_ref().and_then(Permit::read));
                }
                drop(sides);
                tokio::time::sleep(LOOKED_FOR).await;
            }
        });
    }

    /// The number of the permit that the key is the new backend's by.
    pub(super) fn moved(&self, key: &Key) -> Option<u64> {
        let permit = self.route.of(key)?;
        let stays = self.is_resting() || self.stays.as_ref().is_some_and(|stays| stays(key));
        (!stays).then_some(permit)
    }

    /// Whether the permit of this number still stands: asked after whatever relies on it began.
    pub(super) async fn stands(&self, number: u64) -> Result<bool, BackendError> {
        let found = self.old.get(permit::key()).await?;
        let permit = found.as_ref().and_then(Permit::read);
        self.route.learn(permit);
        Ok(permit.is_some_and(|permit| permit.number == number))
    }

    /// Takes the permit away: when this has returned `Ok`, no read that begins later, in any process, uses the new backend.
    pub(super) async fn withdraw(&self) -> Result<(), BackendError> {
        self.route.end();
        self.old
            .invalidate(std::slice::from_ref(permit::key()))
            .await
    }

    /// Asks the new backend, for no longer than it may take. Its failures are counted, and after some in a row the roll-out ends.
    pub(super) async fn ask_new<'a, T>(
        self: &'a Arc<Self>,
        operation: impl FnOnce(&'a dyn Backend) -> BackendFuture<'a, T>,
    ) -> Result<T, BackendError> {
        if self.is_resting() {
            return Err(BackendError::new(
                BackendErrorKind::Unavailable,
                "the new backend of a roll-out failed a moment ago",
            ));
        }
        let mut operation = operation(&*self.new);
        // Polled once before a timer is made, as by the guard: where there is none, what cannot be had at once is late.
        let answer = match poll_fn(|cx| Poll::Ready(operation.as_mut().poll(cx))).await {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                let answer = Budget::new(self.patience).within(operation).await;
                answer.unwrap_or_else(|| Err(BackendError::late()))
            }
        };
        self.note(answer.as_ref().err());
        answer
    }

    pub(super) fn note(self: &Arc<Self>, error: Option<&BackendError>) {
        self.of_new.operations.fetch_add(1, Ordering::Relaxed);
        let Some(error) = error else {
            if self.health.failures.load(Ordering::Relaxed) != 0 {
                self.health.failures.store(0, Ordering::Relaxed);
            }
            return;
        };
        self.of_new.errors.fetch_add(1, Ordering::Relaxed);
        if self.health.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
            self.end(format!(
                "the new backend failed {FAILURES} times in a row: {error}"
            ));
        }
    }

    /// Ends the roll-out, here at once and elsewhere in the background.
    pub(super) fn end(self: &Arc<Self>, why: String) {
        self.rest();
        if !self.route.end() {
            return;
        }
        tracing::warn!(
            why,
            "the roll-out of a cache backend ends: all keys go to the old one"
        );
        self.health.endings.fetch_add(1, Ordering::Relaxed);
        *self
            .health
            .why
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(why);
        if let Ok(runtime) = Handle::try_current() {
            let sides = self.clone();
            runtime.spawn(async move {
                if let Err(error) = sides.withdraw().await {
                    tracing::warn!(%error, "other processes could not be told that the roll-out has ended; each finds out for itself");
                }
            });
        }
    }

    /// How often the roll-out was ended from here, and why the last time.
    pub(super) fn endings(&self) -> (u64, Option<String>) {
        let why = self
            .health
            .why
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (self.health.endings.load(Ordering::Relaxed), why.clone())
    }

    /// The new backend has been emptied and may be used.
    pub(super) fn recovered(&self) {
        self.health.failures.store(0, Ordering::Relaxed);
        self.health.resting.store(false, Ordering::Release);
    }

    fn rest(&self) {
        let until = (self.health.made.elapsed() + REST).as_millis() as u64;
        self.health.until.store(until, Ordering::Relaxed);
        self.health.resting.store(true, Ordering::Release);
    }

    /// Whether the new backend is left alone for now.
    pub(super) fn is_resting(&self) -> bool {
        if !self.health.resting.load(Ordering::Acquire) {
            return false;
        }
        let over = self.health.made.elapsed().as_millis() as u64
            >= self.health.until.load(Ordering::Relaxed);
        if over {
            self.health.failures.store(0, Ordering::Relaxed);
            self.health.resting.store(false, Ordering::Release);
        }
        !over
    }

    /// Has the new backend do what it must not miss; where it does not, nobody may use it any more. Either has happened when this has
    /// returned `Ok`.
    pub(super) async fn tell_new<'a, T>(
        self: &'a Arc<Self>,
        operation: impl FnOnce(&'a dyn Backend) -> BackendFuture<'a, T>,
    ) -> Result<Option<T>, BackendError> {
        if mutants::on(Mutant::NewBackendNotTold) {
            return Ok(None);
        }
        match self.ask_new(operation).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => {
                // While it is left alone, what it is not told says nothing new of it, and must not keep it from being tried again.
                if !self.is_resting() {
                    self.end(format!(
                        "the new backend did not take an invalidation: {error}"
                    ));
                }
                self.withdraw().await.map(|()| None)
            }
        }
    }

    /// Has both do it, side by side. The answer is the old one's.
    pub(super) async fn tell_both<'a, T>(
        self: &'a Arc<Self>,
        operation: impl Fn(&'a dyn Backend) -> BackendFuture<'a, T>,
    ) -> Result<T, BackendError> {
        let (of_old, of_new) = race::both(operation(&*self.old), self.tell_new(&operation)).await;
        of_new?;
        of_old
    }
}
