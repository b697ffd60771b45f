//! What the run came to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::plan::Plan;
use crate::arguments::Arguments;
use crate::checker::{Failover, Tally};

/// The figures of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    /// Reads that were held against what is promised.
    pub(crate) checked: u64,
    pub(crate) violations: u64,
    pub(crate) seed: u64,
    reads: BTreeMap<&'static str, u64>,
    writes: u64,
    seconds: f64,
    checked_per_second: u64,
    faults: BTreeMap<&'static str, u64>,
    violations_by_check: BTreeMap<&'static str, u64>,
    /// Reads that returned less than they would have without faults, by what the documentation says can be stale.
    excused: BTreeMap<&'static str, u64>,
    failovers: Vec<Failover>,
    /// The longest time from the end of a fault until every process used Redis again and had delivered what it had kept.
    slowest_recovery_ms: u64,
    /// Of `eventual` and `fenced`: reads that returned less than an earlier one of their session, while the newer write had not returned.
    went_back: BTreeMap<&'static str, u64>,
    /// Reads that took too long to be checked.
    unchecked: u64,
    /// The first violations, each with the history of its row.
    details: Vec<String>,
}

impl Figures {
    pub(super) fn of(
        arguments: &Arguments,
        plan: &Plan,
        tally: Tally,
        took: Duration,
        slowest_recovery: Duration,
    ) -> Self {
        let mut faults = BTreeMap::new();
        for fault in plan.faults() {
            *faults.entry(fault.sort().name()).or_default() += 1;
        }
        let checked = tally.reads.values().sum::<u64>() - tally.unchecked;
        let seconds = took.as_secs_f64();
        Self {
            checked,
            violations: tally.violations.values().sum(),
            seed: arguments.seed,
            reads: tally.reads,
            writes: tally.writes,
            seconds: (seconds * 10.0).round() / 10.0,
            checked_per_second: (checked as f64 / seconds) as u64,
            faults,
            violations_by_check: tally.violations,
            excused: tally.excused,
            failovers: tally.failovers,
            slowest_recovery_ms: u64::try_from(slowest_recovery.as_millis()).unwrap_or(u64::MAX),
            went_back: tally.went_back,
            unchecked: tally.unchecked,
            details: tally.told,
        }
    }

    /// A line for each, or one object.
    pub(crate) fn text(&self, as_json: bool) -> String {
        if as_json {
            return serde_json::to_string(self).expect("numbers and text can be written");
        }
        let mut text = format!(
            "checked     {} reads in {} s, {} a second, beside {} writes\n",
            self.checked, self.seconds, self.checked_per_second, self.writes
        );
        let mut list = |name: &str, counts: &BTreeMap<&'static str, u64>| {
            let counts: Vec<_> = counts
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            if !counts.is_empty() {
                // A string can be written to.
                let _ = writeln!(text, "{name:<11} {}", counts.join(", "));
            }
        };
        list("reads", &self.reads);
        list("faults", &self.faults);
        list("excused", &self.excused);
        list("went back", &self.went_back);
        list("by check", &self.violations_by_check);
        for Failover {
            behind_ms,
            writes_lost,
            stale_reads,
            stale_for_ms,
        } in &self.failovers
        {
            let lost = writes_lost.unwrap_or(0);
            let _ = writeln!(
                text,
                "failover    {behind_ms} ms behind: {lost} writes lost, {stale_reads} reads stale, the last {stale_for_ms} ms after it"
            );
        }
        let _ = write!(
            text,
            "violations  {}\nseed        {}",
            self.violations, self.seed
        );
        text
    }
}
