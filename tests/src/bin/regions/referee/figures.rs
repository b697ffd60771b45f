//! What the run came to.

use serde::Serialize;

use super::plan::Fault;
use crate::arguments::Arguments;
use crate::words;

/// What was found in the stores of the regions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) writes: u64,
    pub(super) checked: u64,
    pub(super) stale: u64,
}

/// The figures of a run. Lags are in microseconds, of the process with the longest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Writes that were invalidated, and whose event was acknowledged by the bus.
    pub(crate) writes: u64,
    pub(crate) faults: usize,
    /// Entries of both regions that were compared with the database.
    pub(crate) checked: u64,
    /// Those of them that are older than the last acknowledged write of their row.
    pub(crate) stale: u64,
    /// Of the processes that lived to the end: what was carried out, what was taken over, and how often a region was cleared.
    pub(crate) applied: u64,
    pub(crate) taken_over: u64,
    pub(crate) flushes: u64,
    /// From the invalidation in one region until it was carried out in the other, before the first fault.
    pub(crate) calm_p50: u64,
    pub(crate) calm_p99: u64,
    /// The same over all, the waits for stores and the bus among them.
    pub(crate) all_p50: u64,
    pub(crate) all_p99: u64,
    pub(crate) seed: u64,
}

impl Figures {
    pub(super) fn of(
        arguments: &Arguments,
        faults: &[Fault],
        found: &Found,
        calm: words::Figures,
        all: words::Figures,
    ) -> Self {
        Self {
            writes: found.writes,
            faults: faults.len(),
            checked: found.checked,
            stale: found.stale,
            applied: all.applied,
            taken_over: all.taken_over,
            flushes: all.flushes,
            calm_p50: calm.p50,
            calm_p99: calm.p99,
            all_p50: all.p50,
            all_p99: all.p99,
            seed: arguments.seed,
        }
    }

    /// A line for each, or one object.
    pub(crate) fn text(&self, as_json: bool) -> String {
        if as_json {
            return serde_json::to_string(self).expect("numbers can be written");
        }
        let millis = |micros: u64| format!("{:.1} ms", micros as f64 / 1000.0);
        let Self {
            writes,
            faults,
            checked,
            stale,
            applied,
            taken_over,
            flushes,
            seed,
            ..
        } = self;
        format!(
            "writes          {writes}\nfaults          {faults}\nentries checked {checked}\nstale           {stale}\n\
             events applied  {applied}, of which taken over {taken_over}; flushes {flushes}\n\
             lag in calm     p50 {}, p99 {}\nlag over all    p50 {}, p99 {}\nseed            {seed}",
            millis(self.calm_p50),
            millis(self.calm_p99),
            millis(self.all_p50),
            millis(self.all_p99),
        )
    }
}
