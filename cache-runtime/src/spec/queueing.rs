//! How the writes of a write-behind writer are kept and flushed.

use std::time::Duration;

/// What a write-behind call does when its function has as many writes pending as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// Waits for room.
    #[default]
    Block,
    /// Returns [`Error::LogFull`](crate::Error::LogFull).
    Error,
    /// Runs the body itself, once no earlier write of its key is pending.
    Through,
}

/// How the writes of a write-behind writer are kept and flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queueing {
    flush: Duration,
    batch: u32,
    max_pending: u64,
    when_full: WhenFull,
}

impl Queueing {
    /// 5 s, 1000 writes, 100,000 pending, `"block"`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            flush: Duration::from_secs(5),
            batch: 1000,
            max_pending: 100_000,
            when_full: WhenFull::Block,
        }
    }

    /// Sets how long a write waits for others at most, in milliseconds.
    #[must_use]
    pub const fn flush_ms(mut self, ms: u64) -> Self {
        self.flush = Duration::from_millis(ms);
        self
    }

    /// Sets how many writes do not wait for more, and how many a batch has at most.
    #[must_use]
    pub const fn batch(mut self, writes: u32) -> Self {
        self.batch = writes;
        self
    }

    /// Sets how many writes may be pending.
    #[must_use]
    pub const fn max_pending(mut self, writes: u64) -> Self {
        self.max_pending = writes;
        self
    }

    /// Sets what a call does then.
    #[must_use]
    pub const fn when_full(mut self, what: WhenFull) -> Self {
        self.when_full = what;
        self
    }

    /// How long a write waits for others at most.
    #[must_use]
    pub const fn flush(&self) -> Duration {
        self.flush
    }

    /// How many writes do not wait for more, and how many a batch has at most.
    #[must_use]
    pub const fn batch_size(&self) -> u32 {
        self.batch
    }

    /// How many writes may be pending.
    #[must_use]
    pub const fn pending_bound(&self) -> u64 {
        self.max_pending
    }

    /// What a call does then.
    #[must_use]
    pub const fn full(&self) -> WhenFull {
        self.when_full
    }
}

impl Default for Queueing {
    fn default() -> Self {
        Self::new()
    }
}
