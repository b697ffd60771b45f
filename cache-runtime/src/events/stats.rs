//! What a process did on the bus.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::lag::Lags;
use crate::bus::Backlog;

/// The state of the bus between regions as this process sees it, and what the process did there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusStats {
    /// Which bus it is.
    pub name: &'static str,
    /// The group that this process reads with: its region, or the region and the process if its store is in its memory.
    pub group: String,
    /// Events of this process that the bus has acknowledged. An event has up to 256 keys.
    pub published: u64,
    /// Keys that wait in this process to be published.
    pub outbox: u64,
    /// Attempts to publish that failed; they are repeated.
    pub failed_sends: u64,
    /// Times the outbox became one event that everything was invalidated: it was full, or the bus had lost what this process had published.
    pub overflows: u64,
    /// Events of others that this process has carried out.
    pub applied: u64,
    /// Events of its own group that it has acknowledged without doing anything.
    pub skipped: u64,
    /// Of the events that it has handled, those that it took over from another process.
    pub taken_over: u64,
    /// Events that it could not read, for which it invalidated the namespace.
    pub unreadable: u64,
    /// Times this process invalidated the whole namespace because of the bus: events were missed, could not be read, or said that everything was invalidated.
    pub flushes: u64,
    /// Groups that this process found to be too far behind, and gave up.
    pub lost_groups: u64,
    /// Events that the group has before it, not yet given to a process or not yet acknowledged. Seen at most a second ago while the bus can be reached.
    pub backlog: u64,
    /// The age of the oldest of them, seen then.
    pub oldest: Duration,
    /// How long the last event took from its invalidation in the other region until it was carried out here. While a bus is away events wait, and that counts.
    pub lag: Duration,
    /// What half of the invalidations did not exceed, of all that this process has carried out for others, rounded up by up to an eighth. Those that came in one event
    /// count as long as the one of them that waited longest.
    pub lag_p50: Duration,
    /// What 99% of them did not exceed.
    pub lag_p99: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) published: Counter,
    pub(super) failed_sends: Counter,
    /// Times the bus had lost what it had acknowledged.
    pub(super) forgotten: Counter,
    pub(super) applied: Counter,
    pub(super) skipped: Counter,
    pub(super) taken_over: Counter,
    pub(super) unreadable: Counter,
    pub(super) flushes: Counter,
    pub(super) lost_groups: Counter,
    pub(super) lags: Lags,
    backlog: Mutex<Backlog>,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    pub(super) fn note_backlog(&self, backlog: Backlog) {
        *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = backlog;
    }

    /// The figures, with how many keys wait, and how often there were too many.
    pub(super) fn stats(
        &self,
        name: &'static str,
        group: &str,
        (outbox, overflows): (u64, u64),
    ) -> BusStats {
        let backlog = *self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        let [lag_p50, lag_p99] = self.lags.quantiles([0.5, 0.99]);
        BusStats {
            name,
            group: group.to_owned(),
            published: self.published.get(),
            outbox,
            failed_sends: self.failed_sends.get(),
            overflows: overflows + self.forgotten.get(),
            applied: self.applied.get(),
            skipped: self.skipped.get(),
            taken_over: self.taken_over.get(),
            unreadable: self.unreadable.get(),
            flushes: self.flushes.get(),
            lost_groups: self.lost_groups.get(),
            backlog: backlog.events,
            oldest: backlog.oldest,
            lag: self.lags.last(),
            lag_p50,
            lag_p99,
        }
    }
}
