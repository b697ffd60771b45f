//! What flushes came to, and what the worker did.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What `flush_now` or `shutdown` did, and what it left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReport {
    /// Logged writes whose body ran, those that were folded into others included.
    pub written: u64,
    /// Attempts that failed; their writes are tried again later.
    pub failed: u64,
    /// Logged writes that became dead letters.
    pub buried: u64,
    /// Writes that are pending now, in the whole log. If it cannot be asked after a `shutdown`, as it said last.
    pub remaining: u64,
    /// After a `shutdown`: keys whose invalidation is not on the bus. Other regions are not told of them unless the process lives on.
    pub unpublished: u64,
}

/// The state of the write-behind log, and what this process did with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteBehindStats {
    /// Writes that are pending, in the whole log. Of a log that is elsewhere it is what the worker saw last, at most a third of the lease's time ago (1.7 s by
    /// default); 0 in a process without a worker.
    pub pending: u64,
    /// The age of the oldest of them, seen then.
    pub lag: Duration,
    /// Dead letters in the whole log, seen then.
    pub dead_letters: u64,
    /// The parts of the log, of 16, that this process's worker owns.
    pub partitions: usize,
    /// Logged writes that this process's worker has run, those that were folded into others included.
    pub written: u64,
    /// Attempts of this process's worker that failed.
    pub failed: u64,
    /// Logged writes that it made dead letters of.
    pub buried: u64,
}

/// What a process's worker did.
#[derive(Debug, Default)]
pub(super) struct Counts {
    written: AtomicU64,
    failed: AtomicU64,
    buried: AtomicU64,
}

impl Counts {
    pub(super) fn written(&self, writes: u64) {
        self.written.fetch_add(writes, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn buried(&self, writes: u64) {
        self.buried.fetch_add(writes, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, stats: &mut WriteBehindStats) {
        stats.written = self.written.load(Ordering::Relaxed);
        stats.failed = self.failed.load(Ordering::Relaxed);
        stats.buried = self.buried.load(Ordering::Relaxed);
    }
}
