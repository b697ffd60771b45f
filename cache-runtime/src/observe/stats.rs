//! The figures as a user reads them.

use std::time::Duration;

use super::{Count, FunctionState};
use crate::events::stats::BusStats;
use crate::pattern::write_behind::report::WriteBehindStats;
use crate::spec::Spec;

/// What one cache did since it was built.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// The functions that used this cache, in the order of their first call in the process.
    pub functions: Vec<FunctionStats>,
    /// The state of the backend.
    pub backend: BackendStats,
    /// The state of the write-behind log.
    pub write_behind: WriteBehindStats,
    /// The state of the bus between regions, if the cache has one.
    pub bus: Option<BusStats>,
}

impl Stats {
    /// The figures of one function, all zero if it has not been called on this cache.
    ///
    /// ```
    /// use cache_runtime::{Cache, cached};
    ///
    /// #[cached(key = "double:<n>")]
    /// async fn double(n: u64) -> u64 { 2 * n }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// let cache = Cache::builder().build().await?;
    /// cache.scope(async { double(1).await; double(1).await; }).await;
    /// let stats = cache.stats().function(double::SPEC);
    /// assert_eq!((stats.hits, stats.misses, stats.loads), (1, 1, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn function(&self, spec: &'static Spec) -> FunctionStats {
        let found = self
            .functions
            .iter()
            .find(|function| std::ptr::eq(function.spec, spec));
        found.cloned().unwrap_or_else(|| FunctionStats::zero(spec))
    }

    /// The figures of the function of this name; the first, if several modules have one.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&FunctionStats> {
        self.functions
            .iter()
            .find(|function| function.spec.name() == name)
    }
}

/// What one function did on one cache. Every call is a hit or a miss; of a batch loader every element is, but for those of a call that ends with an error.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FunctionStats {
    /// The function.
    pub spec: &'static Spec,
    /// Calls answered from the cache.
    pub hits: u64,
    /// Calls that were not.
    pub misses: u64,
    /// Times the function's body ran.
    pub loads: u64,
    /// Of the loads, those that returned `Err`.
    pub load_errors: u64,
    /// The time that loads took, summed.
    pub load_time: Duration,
    /// Of the misses, those answered by another caller's load.
    pub coalesced: u64,
    /// Loads and writes whose value was not stored: a load's because the key was invalidated or written meanwhile, a write's because another
    /// overlapped or a newer version was there.
    pub rejected_fills: u64,
    /// Operations of the backend or the codec that failed during calls; the callers got their loader's result all the same.
    pub errors: u64,
    /// Of the loads, those that replaced an entry before it expired: by an `early` draw, whose call counts as a miss, or in the background for
    /// `swr`.
    pub refreshes: u64,
    /// Of the hits, those past `refresh_after`, served while the entry was to be replaced.
    pub stale_hits: u64,
    /// Of the misses, those answered with a value past its TTL because the load failed or took too long (`stale_if_error`).
    pub stale_on_error: u64,
    /// Of the misses, those whose load took longer than `timeout`.
    pub timeouts: u64,
    /// Entries found that could not be used: another type or schema, another program's bytes.
    pub unreadable: u64,
    /// Times a writer's body ran.
    pub writes: u64,
    /// Of the writes, those that returned `Err`.
    pub write_errors: u64,
}

impl FunctionStats {
    fn zero(spec: &'static Spec) -> Self {
        Self {
            spec,
            hits: 0,
            misses: 0,
            loads: 0,
            load_errors: 0,
            load_time: Duration::ZERO,
            coalesced: 0,
            rejected_fills: 0,
            errors: 0,
            refreshes: 0,
            stale_hits: 0,
            stale_on_error: 0,
            timeouts: 0,
            unreadable: 0,
            writes: 0,
            write_errors: 0,
        }
    }

    pub(crate) fn of(function: &FunctionState) -> Self {
        let sum = |count| function.counters.sum(count);
        Self {
            spec: function.spec,
            hits: sum(Count::Hits),
            misses: sum(Count::Misses),
            loads: sum(Count::Loads),
            load_errors: sum(Count::LoadErrors),
            load_time: Duration::from_micros(sum(Count::LoadMicros)),
            coalesced: sum(Count::Coalesced),
            rejected_fills: sum(Count::RejectedFills),
            errors: sum(Count::Errors),
            refreshes: sum(Count::Refreshes),
            stale_hits: sum(Count::StaleHits),
            stale_on_error: sum(Count::StaleOnError),
            timeouts: sum(Count::Timeouts),
            unreadable: sum(Count::Unreadable),
            writes: sum(Count::Writes),
            write_errors: sum(Count::WriteErrors),
        }
    }

    /// Hits among all calls, from 0 to 1; 0 before the first call.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let calls = self.hits + self.misses;
        if calls == 0 {
            0.0
        } else {
            self.hits as f64 / calls as f64
        }
    }
}

/// The state of the backend.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackendStats {
    /// Which backend it is.
    pub name: &'static str,
    /// Whether the circuit breaker is open: calls go to their loaders at once.
    pub breaker_open: bool,
    /// How often the breaker opened.
    pub breaker_openings: u64,
    /// Keys whose invalidation waits for the backend's return.
    pub undelivered_invalidations: usize,
}
