//! The figures, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// How long each read took. Kept whole and sorted at the end: exact, and a few bytes a read.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(crate) fn note(&mut self, latency: Duration) {
        // In nanoseconds that is enough for four seconds; what takes longer counts as four.
        self.0
            .push(u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// In microseconds. They must be sorted.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0
            .get(rank - 1)
            .map_or(0.0, |&nanos| f64::from(nanos) / 1_000.0)
    }
}

/// `--json` prints these fields, under these names.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) backend: &'static str,
    pub(crate) workload: String,
    pub(crate) calls: u64,
    pub(crate) hits: u64,
    pub(crate) hit_ratio: f64,
    pub(crate) loads: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) uncached_p50_us: f64,
    pub(crate) uncached_p99_us: f64,
    pub(crate) cold_key_callers: usize,
    pub(crate) cold_key_loads: u64,
    pub(crate) stale_reads: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cache      {}", self.backend)?;
        writeln!(f, "workload   {}", self.workload)?;
        writeln!(f)?;
        writeln!(f, "calls         {:>12}", grouped(self.calls))?;
        writeln!(f, "hits          {:>12}", grouped(self.hits))?;
        writeln!(f, "hit ratio     {:>11.1}%", 100.0 * self.hit_ratio)?;
        writeln!(f, "loads         {:>12}", grouped(self.loads))?;
        writeln!(f, "stale reads   {:>12}", grouped(self.stale_reads))?;
        writeln!(f)?;
        writeln!(f, "a call takes    with the cache   without it")?;
        writeln!(
            f,
            "p50             {:>11.1} us   {:>7.1} us",
            self.p50_us, self.uncached_p50_us
        )?;
        writeln!(
            f,
            "p99             {:>11.1} us   {:>7.1} us",
            self.p99_us, self.uncached_p99_us
        )?;
        writeln!(f)?;
        let callers = grouped(self.cold_key_callers as u64);
        let plural = if self.cold_key_loads == 1 { "" } else { "s" };
        writeln!(
            f,
            "{callers} callers of one cold key caused {} load{plural}",
            self.cold_key_loads
        )
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
