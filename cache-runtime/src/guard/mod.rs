//! Stands before the backend: bounds every operation in time, answers at once while the backend is known to be away, and
//! keeps the invalidations that could not be delivered.

mod backlog;
mod breaker;
mod budget;
mod many;

use std::fmt;
use std::future::Future;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

pub(crate) use self::budget::{Budget, without_timers};

use self::backlog::{Backlog, Due, What};
use self::breaker::Breaker;
use crate::backend::log::WriteLog;
use crate::backend::{Ask, Backend, BackendFuture, Lease, Stored, TagVersion, Token, WriteEnd};
use crate::error::{BackendError, BackendErrorKind};
use crate::invalidation::Keys;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::sync::{Handle, time};

/// How patient the cache is with its backend.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// The most that one call may spend on operations that do not answer.
    pub(crate) operation: Duration,
    /// Timeouts in a row that open the breaker.
    pub(crate) timeouts_to_open: u32,
    /// How often a backend that is away is tried again.
    pub(crate) probe_every: Duration,
    /// Undelivered invalidations kept by key; past it the whole namespace is invalidated on return.
    pub(crate) backlog: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operation: Duration::from_millis(50),
            timeouts_to_open: 3,
            probe_every: Duration::from_millis(100),
            backlog: 100_000,
        }
    }
}

/// Delivering the backlog is nobody's call, so it may take longer than an operation may.
const DELIVERY: Duration = Duration::from_secs(2);
/// So many keys are one operation, with a time of its own.
const DELIVERY_BATCH: usize = 512;
const CLEARING: Duration = Duration::from_secs(20);

/// What became of an invalidation.
#[derive(Debug)]
pub(crate) enum Delivery {
    Done,
    /// Kept, to be delivered when the backend is back.
    Kept(BackendError),
}

impl Delivery {
    /// Of two the one that is not done.
    pub(crate) fn and(self, other: Self) -> Self {
        match self {
            Self::Done => other,
            kept @ Self::Kept(_) => kept,
        }
    }
}

/// A backend behind its time limit, its breaker and its backlog.
pub(crate) struct Guarded {
    backend: Arc<dyn Backend>,
    limits: Limits,
    breaker: Breaker,
    backlog: Backlog,
}

impl Guarded {
    pub(crate) fn new(backend: Arc<dyn Backend>, limits: Limits) -> Arc<Self> {
        let backlog = Backlog::new(limits.backlog);
        Arc::new(Self {
            backend,
            limits,
            breaker: Breaker::default(),
            backlog,
        })
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.limits.operation)
    }

    /// Whether operations are let through. While they are not, a probe is under way; if the runtime that ran it
    /// is gone, the next caller starts another.
    pub(crate) fn is_open(self: &Arc<Self>) -> bool {
        let open = self.breaker.is_open();
        if open {
            self.recover();
        }
        open
    }

    pub(crate) fn backlog_len(&self) -> usize {
        self.backlog.len()
    }

    pub(crate) fn breaker_open(&self) -> bool {
        self.breaker.is_open()
    }

    pub(crate) fn openings(&self) -> u64 {
        self.breaker.openings()
    }

    #[inline]
    pub(crate) fn get_now(&self, key: &Key) -> Option<Option<Stored>> {
        // Open for an invalidation that could not be delivered: the value that should be gone may be there.
        if self.breaker.is_open() {
            return None;
        }
        self.backend.get_now(key)
    }

    // Not a future around a future: this one is in the box of every remote hit.
    pub(crate) fn get<'a>(
        self: &'a Arc<Self>,
        key: &'a Key,
        tags: &'a [Key],
        budget: &'a mut Budget,
    ) -> impl Future<Output = Result<Option<Stored>, BackendError>> {
        self.ask(budget, move |backend| backend.get_tagged(key, tags))
    }

    pub(crate) async fn lease(
        self: &Arc<Self>,
        ask: &Ask,
        ttl: Duration,
        budget: &mut Budget,
    ) -> Result<Lease, BackendError> {
        let (key, tags) = (&ask.key, ask.tags.as_slice());
        self.ask(budget, |backend| {
            backend.lease(key, tags, ask.token, ttl, ask.mode)
        })
        .await
    }

    /// What the clock of the tags says.
    pub(crate) async fn tags_now(self: &Arc<Self>) -> Result<TagVersion, BackendError> {
        let versions = self
            .ask(&mut self.budget(), |backend| backend.versions(&[]))
            .await?;
        Ok(versions.now)
    }

    pub(crate) async fn renew(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
    ) -> Result<bool, BackendError> {
        self.ask(&mut self.budget(), |backend| backend.renew(key, token, ttl))
            .await
    }

    pub(crate) async fn fill(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        value: Stored,
        ttl: Duration,
    ) -> Result<bool, BackendError> {
        self.ask(&mut self.budget(), |backend| {
            backend.fill(key, token, value, ttl)
        })
        .await
    }

    pub(crate) async fn put(
        self: &Arc<Self>,
        key: &Key,
        value: Stored,
        ttl: Duration,
    ) -> Result<bool, BackendError> {
        self.ask(&mut self.budget(), |backend| backend.put(key, value, ttl))
            .await
    }

    pub(crate) async fn release(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
    ) -> Result<(), BackendError> {
        self.ask(&mut self.budget(), |backend| backend.release(key, token))
            .await
    }

    pub(crate) async fn begin_write(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
        budget: &mut Budget,
    ) -> Result<TagVersion, BackendError> {
        self.ask(budget, |backend| backend.begin_write(key, token, ttl))
            .await
    }

    pub(crate) async fn renew_write(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
    ) -> Result<bool, BackendError> {
        self.ask(&mut self.budget(), |backend| {
            backend.renew_write(key, token, ttl)
        })
        .await
    }

    pub(crate) async fn end_write(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> Result<WriteEnd, BackendError> {
        self.ask(&mut self.budget(), |backend| {
            backend.end_write(key, token, value)
        })
        .await
    }

    pub(crate) async fn put_if_newer(
        self: &Arc<Self>,
        key: &Key,
        version: u64,
        value: Stored,
        keep: Duration,
    ) -> Result<bool, BackendError> {
        self.ask(&mut self.budget(), |backend| {
            backend.put_if_newer(key, version, value, keep)
        })
        .await
    }

    /// Waits for the end of another's lease. Bounded by `patience`, not by the operation's time: it takes as long as the load.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        patience: Duration,
    ) -> Result<(), BackendError> {
        if self.is_open() {
            return Err(away());
        }
        let answer = time::timeout(
            patience.saturating_add(self.limits.operation),
            self.backend.wait(key, token, patience),
        )
        .await;
        // A wait that outlasts its patience says nothing of the backend's health: the next operation will.
        answer
            .unwrap_or(Ok(()))
            .inspect_err(|error| self.note(error))
    }

    /// Removes the keys' values and leases, or keeps the keys until that can be done.
    ///
    /// From the moment that one is kept the breaker is open and stays open until it is delivered, so this process serves none
    /// of the values that should be gone.
    pub(crate) async fn invalidate(self: &Arc<Self>, keys: &[Key]) -> Delivery {
        self.invalidate_parts(keys.chunks(DELIVERY_BATCH).map(What::Keys))
            .await
    }

    /// Makes what has the tags good no more, as [`invalidate`](Self::invalidate) does what is under keys.
    pub(crate) async fn invalidate_tags(self: &Arc<Self>, tags: &[Key]) -> Delivery {
        self.invalidate_parts(tags.chunks(DELIVERY_BATCH).map(What::Tags))
            .await
    }

    /// Makes everything good no more, as [`invalidate`](Self::invalidate) does what is under keys.
    pub(crate) async fn bump_namespace(self: &Arc<Self>) -> Delivery {
        self.invalidate_parts([What::Everything].into_iter()).await
    }

    /// In parts, each with a time of its own: a healthy backend needs longer for thousands of keys than for one.
    async fn invalidate_parts<'a>(
        self: &Arc<Self>,
        parts: impl Iterator<Item = What<'a>>,
    ) -> Delivery {
        let mut delivery = Delivery::Done;
        for part in parts {
            if let kept @ Delivery::Kept(_) = self.invalidate_part(part, Unfinished::TryAgain).await
            {
                delivery = kept;
            }
        }
        delivery
    }

    /// Invalidates for somebody who tries again what fails, and whose news has not been promised to anybody here: nothing is kept, and the breaker has
    /// but its share of what the backend answers. Nobody's call waits for it, so each part has the time of a delivery. The first that fails is the last.
    ///
    /// # Errors
    ///
    /// Also while the breaker is open, without a try. Some of it may have been carried out.
    pub(crate) async fn invalidate_patiently(
        self: &Arc<Self>,
        keys: &Keys,
    ) -> Result<(), BackendError> {
        let parts = keys.keys().chunks(DELIVERY_BATCH).map(What::Keys);
        let tags = keys.tags().chunks(DELIVERY_BATCH).map(What::Tags);
        let everything = keys.is_everything().then_some(What::Everything);
        for part in parts.chain(tags).chain(everything) {
            if self.is_open() {
                return Err(away());
            }
            let done = time::timeout(DELIVERY, self.carry_out(part)).await;
            match done.unwrap_or_else(|_| Err(BackendError::late())) {
                Ok(()) => self.breaker.succeeded(),
                Err(error) => {
                    self.note(&error);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn carry_out<'a>(&'a self, what: What<'a>) -> BackendFuture<'a, ()> {
        match what {
            What::Keys(keys) => self.backend.invalidate(keys),
            What::Tags(tags) => self.backend.invalidate_tags(tags),
            What::Everything => self.backend.bump_namespace(),
        }
    }

    async fn invalidate_part(self: &Arc<Self>, what: What<'_>, if_dropped: Unfinished) -> Delivery {
        while self.is_open() {
            if self.backlog.keep(what, || self.breaker.is_open()) {
                return Delivery::Kept(away());
            }
        }
        let mut owed = Owed {
            guarded: self,
            what,
            unfinished: if_dropped,
        };
        let mut budget = self.budget();
        match self.bounded(&mut budget, self.carry_out(what)).await {
            Ok(()) => {
                self.breaker.succeeded();
                owed.unfinished = Unfinished::Nothing;
                Delivery::Done
            }
            Err(error) => {
                if !self.breaker.is_open() {
                    self.report(&error);
                }
                owed.unfinished = Unfinished::Keep;
                Delivery::Kept(error)
            }
        }
    }

    /// Keeps what could not be delivered. The breaker is opened under the backlog's lock: [`deliver`](Self::deliver) closes it under
    /// the same one, and so never with keys left behind.
    fn keep(self: &Arc<Self>, what: What<'_>) {
        self.backlog.keep(what, || {
            if !mutants::on(Mutant::UndeliveredServed) {
                self.breaker.open();
            }
            true
        });
        self.recover();
    }

    /// Runs an operation of the write-behind log. It has a time of its own, and the breaker has no say: an acknowledgement is worth waiting for, and
    /// a backend without a connection fails at once by itself.
    pub(crate) async fn ask_log<'a, T>(
        &'a self,
        limit: Duration,
        operation: impl FnOnce(&'a dyn WriteLog) -> BackendFuture<'a, T>,
    ) -> Result<T, BackendError> {
        let Some(log) = self.backend.write_log() else {
            return Err(BackendError::new(
                BackendErrorKind::Rejected,
                "this backend keeps no write-behind log",
            ));
        };
        self.bounded(&mut Budget::new(limit), operation(log)).await
    }

    /// Removes everything of the namespace.
    pub(crate) async fn clear(self: &Arc<Self>) -> Result<(), BackendError> {
        if self.is_open() {
            return Err(away());
        }
        let cleared = time::timeout(CLEARING, self.backend.clear()).await;
        cleared.unwrap_or_else(|_| Err(BackendError::late()))
    }

    /// Runs an operation inside the call's budget, unless the breaker is open, and tells the breaker how it went.
    async fn ask<'a, T>(
        self: &'a Arc<Self>,
        budget: &mut Budget,
        operation: impl FnOnce(&'a dyn Backend) -> BackendFuture<'a, T>,
    ) -> Result<T, BackendError> {
        if self.is_open() {
            return Err(away());
        }
        let answer = self.bounded(budget, operation(&*self.backend)).await;
        match &answer {
            Ok(_) => self.breaker.succeeded(),
            Err(error) => self.note(error),
        }
        answer
    }

    /// Polls once before a timer is made: an in-process backend is done by then.
    async fn bounded<T>(
        &self,
        budget: &mut Budget,
        mut operation: BackendFuture<'_, T>,
    ) -> Result<T, BackendError> {
        if let Poll::Ready(answer) = poll_fn(|cx| Poll::Ready(operation.as_mut().poll(cx))).await {
            return answer;
        }
        let answer = budget.within(operation).await;
        answer.unwrap_or_else(|| Err(BackendError::late()))
    }

    /// Counts an error, and opens the breaker if it says that the backend is away.
    fn note(self: &Arc<Self>, error: &BackendError) {
        let opened = match error.kind() {
            BackendErrorKind::Unavailable => self.breaker.open(),
            BackendErrorKind::Timeout => self.breaker.timed_out(self.limits.timeouts_to_open),
            // It answered: it is there, and it will say so again at no more than the cost of asking.
            BackendErrorKind::Rejected => false,
        };
        if opened {
            self.report(error);
            self.recover();
        }
    }

    fn report(&self, error: &BackendError) {
        let (backend, text) = (
            self.backend.name(),
            "cache backend is away; calls go to their loaders until it is back",
        );
        // A backend that lost its connection has said so itself, and knows more about it.
        if error.kind() == BackendErrorKind::Unavailable {
            tracing::info!(backend, %error, "{text}");
        } else {
            tracing::warn!(backend, %error, "{text}");
        }
    }

    /// Starts the task that probes the backend, delivers the backlog and closes the breaker, if none is running.
    fn recover(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let Some(probing) = self.breaker.start_probing() else {
            return;
        };
        let guarded = Arc::downgrade(self);
        let every = self.limits.probe_every;
        runtime.spawn(async move {
            let recovered = loop {
                time::sleep(every).await;
                // A cache that was dropped needs no recovery.
                let Some(guarded) = guarded.upgrade() else {
                    return;
                };
                if mutants::on(Mutant::BreakerClosedBeforeDelivery) && guarded.ping().await.is_ok()
                {
                    guarded.breaker.close();
                }
                if guarded.ping().await.is_ok() && guarded.deliver().await {
                    break guarded;
                }
            };
            tracing::info!(backend = recovered.backend.name(), "cache backend is back");
            drop(probing);
            // Opened again before the right to probe was given back, it would have found nobody to probe.
            if recovered.breaker.is_open() {
                recovered.recover();
            }
        });
    }

    /// Asks the backend itself, whatever the breaker says. One that needs more than an operation's time is too slow to use.
    pub(crate) async fn ping(&self) -> Result<(), BackendError> {
        self.bounded(&mut self.budget(), self.backend.ping()).await
    }

    /// Delivers what was kept, and closes the breaker in the same step that finds nothing left.
    async fn deliver(self: &Arc<Self>) -> bool {
        loop {
            let due = self.backlog.next(DELIVERY_BATCH, || self.breaker.close());
            let Some(what) = due.what() else {
                return true;
            };
            let mut owed = Owed {
                guarded: self,
                what,
                unfinished: Unfinished::Keep,
            };
            match time::timeout(DELIVERY, self.carry_out(what)).await {
                Ok(Ok(())) => owed.unfinished = Unfinished::Nothing,
                _ => return false,
            }
        }
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("backend", &self.backend)
            .field("open", &self.breaker.is_open())
            .finish_non_exhaustive()
    }
}

fn away() -> BackendError {
    BackendError::new(
        BackendErrorKind::Unavailable,
        "the backend is away; it is tried again in the background",
    )
}

/// What is being invalidated, and what becomes of it if that does not come to its end.
struct Owed<'a> {
    guarded: &'a Arc<Guarded>,
    what: What<'a>,
    unfinished: Unfinished,
}

enum Unfinished {
    Nothing,
    /// The backend failed, or nobody is left to try again.
    Keep,
    /// The caller was dropped, which says nothing about the backend.
    TryAgain,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        match self.unfinished {
            Unfinished::Nothing => {}
            Unfinished::Keep => self.guarded.keep(self.what),
            Unfinished::TryAgain if mutants::on(Mutant::CancelledInvalidationForgotten) => {}
            Unfinished::TryAgain => {
                let Ok(runtime) = Handle::try_current() else {
                    return self.guarded.keep(self.what);
                };
                let (guarded, due) = (Arc::clone(self.guarded), Due::from(self.what));
                // Dropped again, as by a runtime that ends, it is kept: this does not go on for ever.
                runtime.spawn(async move {
                    if let Some(what) = due.what() {
                        guarded.invalidate_part(what, Unfinished::Keep).await;
                    }
                });
            }
        }
    }
}
