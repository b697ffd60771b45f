//! Invalidations between regions: what this process invalidates goes to the others by the bus, and what they invalidate is carried out here.
//!
//! On the way out: [`outbox`], then [`sender`]. On the way in: [`consumer`]. What comes in does not go out again: it is carried out by
//! [`Inner::invalidate_for_others`], and only [`Inner::invalidate`](crate::cache::Inner::invalidate) and its like tell the others.

mod consumer;
mod lag;
pub(crate) mod options;
mod outbox;
mod sender;
pub(crate) mod stats;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use self::consumer::Consumer;
use self::options::BusOptions;
use self::outbox::{News, Outbox};
use self::sender::Sender;
use self::stats::{BusStats, Counts};
use crate::backend::{Format, Token};
use crate::bus::{Bus, Group};
use crate::cache::{Cache, Inner};
use crate::clock::Clock;
use crate::error::{BackendError, BackendErrorKind, Error};
use crate::guard::{Delivery, Guarded};
use crate::invalidation::Keys;
use crate::key::Key;

/// How long the bus may take to answer. Nobody's call waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the building of a cache waits for its first look at the bus.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// A bus that is away for longer than this somebody should hear of.
const LONG_AWAY: Duration = Duration::from_secs(10);

/// The pauses while the bus is away.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A bus, the region, and the rest of what the builder was told.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) region: Group,
}

/// The part of a cache that tells other regions, and hears of them.
pub(crate) struct Events {
    shared: Arc<Shared>,
}

/// What the cache and its two tasks share.
#[derive(Debug)]
struct Shared {
    bus: Arc<dyn Bus>,
    group: Group,
    process: Token,
    options: BusOptions,
    clock: Clock,
    outbox: Outbox,
    counts: Counts,
    closing: Closing,
    has_warned: AtomicBool,
}

impl Events {
    pub(crate) fn new(plan: Plan, options: BusOptions, guarded: &Guarded, clock: Clock) -> Self {
        let process = Token::fresh();
        // A store in this process's memory is its own: each event has to come to every process then, that of another of this region too.
        let group = match guarded.backend().format() {
            Format::Typed => plan.region.of_process(process),
            Format::Encoded => plan.region,
        };
        let outbox = Outbox::new(options.waiting);
        Self {
            shared: Arc::new(Shared {
                bus: plan.bus,
                group,
                process,
                options,
                clock,
                outbox,
                counts: Counts::default(),
                closing: Closing::default(),
                has_warned: AtomicBool::new(false),
            }),
        }
    }

    /// Starts to send and to read. From here on nothing that others publish is missed, if the bus can be reached by now.
    pub(crate) async fn start(&self, cache: &Arc<Inner>) {
        let sender = Sender::new(Arc::clone(&self.shared));
        tokio::spawn(sender.run());
        let mut consumer = Consumer::new(Arc::clone(&self.shared), Arc::downgrade(cache));
        // What does not come of it now comes of it later.
        let _ = tokio::time::timeout(FIRST_LOOK, consumer.join()).await;
        tokio::spawn(consumer.run());
    }

    fn tell(&self, news: News<'_>, told: Told) {
        let shared = &self.shared;
        let is_for_origin = told == Told::All;
        shared.outbox.put(news, is_for_origin, shared.clock.now());
    }

    /// Waits until all that is in the outbox now is on the bus. After the deadline: how much is left in it.
    async fn drain(&self, deadline: Duration) -> Result<(), u64> {
        let outbox = &self.shared.outbox;
        tokio::time::timeout(deadline, outbox.drained())
            .await
            .map_err(|_| outbox.len())
    }

    pub(crate) fn stats(&self) -> BusStats {
        let Shared {
            bus,
            group,
            outbox,
            counts,
            ..
        } = &*self.shared;
        let waiting = (outbox.len(), outbox.overflows());
        counts.stats(bus.name(), group.as_str(), waiting)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.closing.close();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl Shared {
    /// Asks the bus, with a limit to how long it may take beyond the time that it was told to wait.
    async fn ask<T>(
        &self,
        wait: Duration,
        answer: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let answer = tokio::time::timeout(wait + PATIENCE, answer).await;
        answer.unwrap_or_else(|_| Err(BackendError::late()))
    }

    fn complain(&self, absence: &mut Absence, error: &BackendError, problem: &'static str) {
        let bus = self.bus.name();
        // A connection that is lost tells of itself; what the bus refuses somebody has to see to, and is told so once.
        let is_refusal = error.kind() == BackendErrorKind::Rejected;
        let is_long = !is_refusal && absence.is_long_now();
        if is_long || (is_refusal && !self.has_warned.swap(true, Ordering::Relaxed)) {
            tracing::warn!(bus, %error, "{problem}");
        } else {
            tracing::debug!(bus, %error, "{problem}");
        }
    }
}

/// Since when the bus has been away, as one of the tasks sees it.
#[derive(Debug, Default)]
struct Absence {
    since: Option<Instant>,
    is_told: bool,
}

impl Absence {
    /// It goes on. `true` once, when it is long.
    fn is_long_now(&mut self) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        let is_long = !self.is_told && since.elapsed() >= LONG_AWAY;
        self.is_told |= is_long;
        is_long
    }

    fn ended(&mut self) {
        *self = Self::default();
    }
}

impl Cache {
    /// Waits until every invalidation so far is on the bus, from where it reaches the other regions, or until `deadline` has passed. Without a bus it returns at once.
    ///
    /// A process that dies before that loses those that it has not published. Whoever needs to know that an invalidation will arrive calls this after it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cache_runtime::{Cache, bus::MemoryBus};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// let cache = Cache::builder().bus(MemoryBus::new(), "eu-1")?.build().await?;
    /// cache.invalidate("user:42").await?;
    /// cache.flush_events(Duration::from_secs(1)).await?;
    /// assert_eq!(cache.stats().bus.map(|bus| bus.published), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Unpublished`] if the bus is away for so long. They stay in the outbox, and are published when it is back.
    pub async fn flush_events(&self, deadline: Duration) -> Result<(), Error> {
        let drained = self.inner.drain_events(deadline).await;
        drained.map_err(Error::Unpublished)
    }
}

impl Inner {
    /// Waits for the outbox. After the deadline: how many keys are left in it.
    pub(crate) async fn drain_events(&self, deadline: Duration) -> Result<(), u64> {
        match &self.events {
            Some(events) => events.drain(deadline).await,
            None => Ok(()),
        }
    }

    /// Tells the other regions what was invalidated here.
    pub(crate) fn tell_regions(&self, keys: &Keys, told: Told) {
        let Some(events) = &self.events else { return };
        events.tell(News::Keys(keys.keys()), told);
        events.tell(News::Tags(keys.tags()), told);
        if keys.is_everything() {
            events.tell(News::Everything, told);
        }
    }

    /// Tells the other regions of keys whose entries were replaced or removed here.
    pub(crate) fn tell_regions_of(&self, keys: &[Key]) {
        if let Some(events) = &self.events {
            events.tell(News::Keys(keys), Told::Others);
        }
    }

    /// Invalidates in this process's own record and at its backend, and tells nobody.
    pub(crate) async fn invalidate_here(&self, keys: &Keys) -> Delivery {
        self.advance_epochs(keys);
        let mut delivery = self.guarded.invalidate(keys.keys()).await;
        if !keys.tags().is_empty() {
            delivery = delivery.and(self.guarded.invalidate_tags(keys.tags()).await);
        }
        if keys.is_everything() {
            delivery = delivery.and(self.guarded.bump_namespace().await);
        }
        delivery
    }

    /// Carries out what other regions have invalidated, and tells nobody.
    ///
    /// # Errors
    ///
    /// What the backend says. Nothing is kept here then: the bus still has the events.
    async fn invalidate_for_others(&self, keys: &Keys) -> Result<(), BackendError> {
        self.advance_epochs(keys);
        self.guarded.invalidate_patiently(keys).await
    }

    fn advance_epochs(&self, keys: &Keys) {
        self.epochs.advance(keys.keys());
        if !keys.tags().is_empty() || keys.is_everything() {
            self.epochs.advance_all();
        }
    }

    /// Removes everything at this process's backend, and tells nobody.
    pub(crate) async fn clear_here(&self) -> Result<(), BackendError> {
        self.epochs.advance_all();
        self.guarded.clear().await
    }
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The other regions.
    Others,
    /// And the processes of this one, as the one that keeps the invalidation may not live to deliver it.
    All,
}

/// Whether the cache is gone.
#[derive(Debug)]
struct Closing(tokio::sync::watch::Sender<bool>);

impl Default for Closing {
    fn default() -> Self {
        Self(tokio::sync::watch::Sender::new(false))
    }
}

impl Closing {
    fn close(&self) {
        self.0.send_replace(true);
    }

    fn is_closed(&self) -> bool {
        *self.0.borrow()
    }

    async fn closed(&self) {
        // Errs when the sender is gone, and `self` is the sender.
        let _ = self.0.subscribe().wait_for(|closed| *closed).await;
    }
}

/// The pauses between attempts: each is twice as long as the one before.
#[derive(Debug)]
struct Pauses(Duration);

impl Pauses {
    fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}
