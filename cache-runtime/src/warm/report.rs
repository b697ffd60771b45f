//! What a warm-up came to.

use std::fmt;
use std::time::Duration;

/// So many errors are kept with their text; the others are only counted.
const ERRORS: usize = 10;

/// An item that was not warmed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WarmError {
    /// The item: its key, or its place in the list, counted from 1.
    pub item: String,
    /// Why.
    pub problem: String,
}

impl fmt::Display for WarmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.item, self.problem)
    }
}

/// How a warm-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WarmEnd {
    /// Every item had its turn.
    #[default]
    Complete,
    /// It was stopped by its handle: what was under way came to its end.
    Stopped,
    /// Its deadline passed: what was under way was given up.
    Deadline,
}

/// What a warm-up came to: every item is counted once, in one of the first five figures.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WarmReport {
    /// Items that were not in the cache and were loaded, by the warm-up or by a load of others that it joined.
    pub loaded: u64,
    /// Items that were in the cache.
    pub already_there: u64,
    /// Items that were looked for and do not exist.
    pub absent: u64,
    /// Items whose load failed, or that could not be called at all.
    pub failed: u64,
    /// Items that had no turn, or were under way at the deadline; those left are as many as their list says of itself.
    pub skipped: u64,
    /// Of those loaded, the ones whose value was not stored: the key was invalidated or written meanwhile, the function does not store
    /// this value, or the backend could not take it.
    pub not_stored: u64,
    /// The first errors.
    pub errors: Vec<WarmError>,
    /// The time that it took.
    pub elapsed: Duration,
    /// Of a replay, by how much an access began after its time at most: the concurrency is too small for the speed, or the database too slow.
    pub behind: Duration,
    /// How it ended.
    pub end: WarmEnd,
}

impl WarmReport {
    /// The items that had their turn.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.loaded + self.already_there + self.absent + self.failed
    }

    /// The share of the items that were there, of those that had their turn and did not fail. For a replay, the hit ratio that its
    /// callers would have had. 0 where there were none.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let looked_up = self.loaded + self.already_there + self.absent;
        self.already_there as f64 / looked_up.max(1) as f64
    }

    pub(super) fn failed(&mut self, item: impl FnOnce() -> String, problem: String) {
        self.failed += 1;
        if self.errors.len() < ERRORS {
            let item = item();
            self.errors.push(WarmError { item, problem });
        }
    }
}

/// In one line: `loaded 1980, already there 20, absent 0, failed 0 in 1.204s`.
impl fmt::Display for WarmReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "loaded {}, already there {}, absent {}, failed {}",
            self.loaded, self.already_there, self.absent, self.failed
        )?;
        if self.not_stored > 0 {
            write!(f, ", not stored {}", self.not_stored)?;
        }
        if self.skipped > 0 {
            write!(f, ", skipped {}", self.skipped)?;
        }
        write!(f, " in {:.3}s", self.elapsed.as_secs_f64())?;
        match self.end {
            WarmEnd::Complete => {}
            WarmEnd::Stopped => f.write_str("; stopped")?,
            WarmEnd::Deadline => f.write_str("; its deadline passed")?,
        }
        match self.errors.first() {
            Some(first) => write!(f, "; first error: {first}"),
            None => Ok(()),
        }
    }
}
