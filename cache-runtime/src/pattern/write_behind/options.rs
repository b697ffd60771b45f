//! How write-behind writes are run.

use std::time::Duration;

/// Options of write-behind: how writes that fail are retried, and whether this process runs writes at all.
///
/// ```
/// use std::time::Duration;
/// use cache_runtime::{Cache, WriteBehind};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cache_runtime::Error> {
/// let options = WriteBehind::new().attempts(5).backoff(Duration::from_millis(200), Duration::from_secs(60));
/// let cache = Cache::builder().write_behind(options).build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until they are given to a builder"]
pub struct WriteBehind {
    pub(crate) attempts: u32,
    pub(crate) first_pause: Duration,
    pub(crate) longest_pause: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) log_timeout: Duration,
    pub(crate) worker: bool,
}

impl Default for WriteBehind {
    fn default() -> Self {
        Self {
            attempts: 10,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(30),
            log_timeout: Duration::from_secs(2),
            worker: true,
        }
    }
}

impl WriteBehind {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how often a write is tried before it becomes a dead letter. Default 10; at least 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the pause after the first attempt, and the longest there is: each is twice as long as the one before, and shortened at random by up to
    /// a half. Default 100 ms and 30 s.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.first_pause = first;
        self.longest_pause = longest;
        self
    }

    /// Sets how long an attempt may take before it is dropped and counts as failed. Default 30 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets how long a call waits for the log to acknowledge its write. Default 2 s: past it the write may be in the log all the same.
    pub fn log_timeout(mut self, timeout: Duration) -> Self {
        self.log_timeout = timeout;
        self
    }

    /// Sets whether this process runs pending writes. Default `true`; `false` for a process that only writes, while others work.
    pub fn worker(mut self, works: bool) -> Self {
        self.worker = works;
        self
    }
}
