//! The clock that TTLs, leases and load times are measured by, and one that tests can move.

mod system;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::stored::nanos;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Notify, time};

/// A monotonic clock: the process's own, or one that a test moves by hand.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(ManualClock),
}

/// A point in time: nanoseconds since the clock began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(u64);

impl Moment {
    /// A moment too far away to be written is the last one: an entry with a TTL of centuries does not expire.
    pub(crate) fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    #[inline]
    pub(crate) fn after_nanos(self, span: u64) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// So long ago; the clock's beginning, if that was later.
    pub(crate) fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// Greater for a later one, and never 0.
    #[inline]
    pub(crate) fn number(self) -> u64 {
        self.0.saturating_add(1)
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    #[inline]
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Clock {
    /// The process's monotonic clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    pub(crate) fn now(&self) -> Moment {
        match &self.0 {
            Source::System => Moment(system::now()),
            Source::Manual(clock) => clock.moment(),
        }
    }

    /// The time, exact from shortly before the given moment on; earlier than that it may lag by some milliseconds, and costs less.
    #[inline]
    pub(crate) fn now_about(&self, moment: Moment) -> Moment {
        match &self.0 {
            Source::System => {
                let lower_bound = system::now_at_least();
                if moment.0.saturating_sub(lower_bound) > system::LAG {
                    return Moment(lower_bound);
                }
                Moment(system::now())
            }
            Source::Manual(clock) => clock.moment(),
        }
    }

    /// The time as it was some milliseconds ago at most: cheap, and never before what it said last.
    #[inline]
    pub(crate) fn coarse(&self) -> Moment {
        match &self.0 {
            Source::System => Moment(system::now_at_least()),
            Source::Manual(clock) => clock.moment(),
        }
    }

    pub(crate) async fn sleep_until(&self, moment: Moment) {
        match &self.0 {
            Source::System => time::sleep(moment.since(self.now())).await,
            Source::Manual(clock) => clock.reached(moment).await,
        }
    }

    pub(crate) async fn sleep(&self, span: Duration) {
        match &self.0 {
            Source::System => time::sleep(span).await,
            Source::Manual(clock) => clock.sleep(span).await,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock::system"),
            Source::Manual(clock) => clock.fmt(f),
        }
    }
}

/// A clock that stands still until it is moved.
///
/// It governs what this process times: TTLs, leases and intents in the in-memory backend, load times, and when a lease is renewed. A
/// Redis server keeps its own time, so a load there that takes longer than its lease (5 s) loses it unless this clock is moved on.
///
/// ```
/// use std::time::Duration;
/// use cache_runtime::{Cache, ManualClock, cached};
///
/// #[cached(key = "tick", ttl = 60)]
/// async fn tick(counter: &std::sync::atomic::AtomicU32) -> u32 {
///     counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cache_runtime::Error> {
/// let clock = ManualClock::new();
/// let cache = Cache::builder().clock(&clock).build().await?;
/// let counter = Default::default();
/// cache.scope(async {
///     assert_eq!(tick(&counter).await, 0);
///     clock.advance(Duration::from_secs(59));
///     assert_eq!(tick(&counter).await, 0);
///     clock.advance(Duration::from_secs(1));
///     assert_eq!(tick(&counter).await, 1);
/// }).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ManualClock(Arc<Hands>);

#[derive(Default)]
struct Hands {
    nanos: AtomicU64,
    moved: Notify,
}

impl ManualClock {
    /// A clock that has just begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward and wakes what was waiting for the time it passes.
    pub fn advance(&self, span: Duration) {
        self.0.nanos.fetch_add(nanos(span), Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }

    /// Waits until the clock has been moved by this much: a loader that takes its time on the moved clock.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use cache_runtime::ManualClock;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let clock = ManualClock::new();
    /// let moved = async { clock.advance(Duration::from_secs(1)) };
    /// tokio::join!(clock.sleep(Duration::from_secs(1)), moved);
    /// # }
    /// ```
    pub async fn sleep(&self, span: Duration) {
        self.reached(self.moment().after(span)).await;
    }

    /// How far the clock has been moved.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.nanos.load(Ordering::SeqCst))
    }

    fn moment(&self) -> Moment {
        Moment(self.0.nanos.load(Ordering::SeqCst))
    }

    async fn reached(&self, deadline: Moment) {
        loop {
            let moved = self.0.moved.notified();
            if self.moment() >= deadline {
                return;
            }
            moved.await;
        }
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock({:?})", self.elapsed())
    }
}

impl From<&ManualClock> for Clock {
    fn from(clock: &ManualClock) -> Self {
        Self(Source::Manual(clock.clone()))
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self(Source::Manual(clock))
    }
}
