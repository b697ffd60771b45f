//! How events are kept and taken over.

use std::time::Duration;

use crate::bus::Retention;
use crate::error::ConfigError;

/// One process of all trims the stream, so often.
const TRIM_EVERY: Duration = Duration::from_secs(2);

/// The group of a process with a store of its own is given up after so many times of `takeover`.
const SILENCE: u32 = 12;

/// Options of the bus between regions: how long it keeps what a region has not read, and when another process takes over. The regions of one
/// application should have the same.
///
/// ```
/// use std::time::Duration;
/// use cache_runtime::{BusOptions, Cache, bus::MemoryBus};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cache_runtime::Error> {
/// let options = BusOptions::new().retention(Duration::from_secs(600), 200_000);
/// let cache = Cache::builder().bus(MemoryBus::new(), "eu-1")?.bus_options(options).build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until they are given to a builder"]
pub struct BusOptions {
    pub(super) age: Duration,
    pub(super) events: u64,
    pub(super) takeover: Duration,
    pub(super) waiting: usize,
    pub(super) trim_every: Duration,
}

impl Default for BusOptions {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(60 * 60),
            events: 1_000_000,
            takeover: Duration::from_secs(5),
            waiting: 100_000,
            trim_every: TRIM_EVERY,
        }
    }
}

impl BusOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long, and up to how many, the bus keeps events for a region that does not read them. A region that was away for longer is given up; when it
    /// is back it invalidates its namespace, as it cannot know what it missed. Default an hour, and 1,000,000 events of up to 256 keys each.
    pub fn retention(mut self, age: Duration, events: u64) -> Self {
        self.age = age;
        self.events = events;
        self
    }

    /// Sets how long an event may be with a process before another of its region takes it over. Default 5 s. A process whose store is its own memory and that
    /// does not read for twelve times as long is given up, and invalidates its store when it goes on.
    pub fn takeover(mut self, after: Duration) -> Self {
        self.takeover = after;
        self
    }

    /// Sets how many keys this process holds while the bus is away; past it all of them become one event that everything was invalidated. Default 100,000.
    pub fn max_waiting(mut self, keys: usize) -> Self {
        self.waiting = keys;
        self
    }

    /// Sets how often acknowledged events are removed from the bus, by whichever process comes first. Default 2 s.
    pub fn trim_every(mut self, every: Duration) -> Self {
        self.trim_every = every;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let least = Duration::from_millis(1);
        let spans = [
            ("retention of the bus", self.age),
            ("takeover of the bus", self.takeover),
            ("trim_every of the bus", self.trim_every),
        ];
        for (place, span) in spans {
            if span < least {
                return Err(ConfigError::new(place, "must be at least 1 ms"));
            }
        }
        if self.age < self.takeover {
            return Err(ConfigError::new(
                "retention of the bus",
                "must not be shorter than `takeover`: a region would be given up before another of its processes could take over",
            ));
        }
        if self.events == 0 || self.waiting == 0 {
            return Err(ConfigError::new(
                "bus",
                "`retention` and `max_waiting` must leave room for at least one",
            ));
        }
        Ok(())
    }

    pub(super) fn retention_of_bus(&self) -> Retention {
        Retention {
            age: self.age,
            events: self.events,
            silence: self.takeover.saturating_mul(SILENCE),
            every: self.trim_every,
        }
    }

    /// How often a process looks after the bus: often enough that it takes over and trims in time.
    pub(super) fn look_every(&self) -> Duration {
        let shortest = self.takeover.min(self.trim_every);
        (shortest / 2).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}
