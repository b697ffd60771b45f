//! The figures, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::json;

/// How long each read took. Kept whole and sorted at the end: exact, and a few bytes a read.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

/// In microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Latencies {
    pub(crate) fn note(&mut self, latency: Duration) {
        // Nanoseconds: enough for four seconds, and whatever takes longer counts as that.
        self.0
            .push(u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn quantiles(mut self) -> Quantiles {
        self.0.sort_unstable();
        let at = |percent: usize| {
            let rank = (self.0.len() * percent).div_ceil(100).max(1);
            self.0
                .get(rank - 1)
                .map_or(0.0, |&nanos| f64::from(nanos) / 1_000.0)
        };
        Quantiles {
            p50: at(50),
            p99: at(99),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) backend: &'static str,
    pub(crate) workload: String,
    pub(crate) calls: u64,
    pub(crate) hits: u64,
    pub(crate) loads: u64,
    pub(crate) cached: Quantiles,
    pub(crate) uncached: Quantiles,
    pub(crate) cold_key_callers: usize,
    pub(crate) cold_key_loads: u64,
    pub(crate) stale_reads: u64,
}

impl Report {
    fn hit_ratio(&self) -> f64 {
        self.hits as f64 / self.calls.max(1) as f64
    }

    pub(crate) fn json(&self) -> String {
        json!({
            "backend": self.backend,
            "workload": self.workload,
            "calls": self.calls,
            "hits": self.hits,
            "hit_ratio": self.hit_ratio(),
            "loads": self.loads,
            "p50_us": self.cached.p50,
            "p99_us": self.cached.p99,
            "uncached_p50_us": self.uncached.p50,
            "uncached_p99_us": self.uncached.p99,
            "cold_key_callers": self.cold_key_callers,
            "cold_key_loads": self.cold_key_loads,
            "stale_reads": self.stale_reads,
        })
        .to_string()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            backend,
            workload,
            cached,
            uncached,
            ..
        } = self;
        writeln!(f, "cache      {backend}")?;
        writeln!(f, "workload   {workload}")?;
        writeln!(f)?;
        writeln!(f, "calls         {:>12}", grouped(self.calls))?;
        writeln!(f, "hits          {:>12}", grouped(self.hits))?;
        writeln!(f, "hit ratio     {:>11.1}%", 100.0 * self.hit_ratio())?;
        writeln!(f, "loads         {:>12}", grouped(self.loads))?;
        writeln!(f, "stale reads   {:>12}", grouped(self.stale_reads))?;
        writeln!(f)?;
        writeln!(f, "latency, us     with the cache   without it")?;
        writeln!(
            f,
            "p50             {:>14.1}   {:>10.1}",
            cached.p50, uncached.p50
        )?;
        writeln!(
            f,
            "p99             {:>14.1}   {:>10.1}",
            cached.p99, uncached.p99
        )?;
        writeln!(f)?;
        let (callers, loads) = (grouped(self.cold_key_callers as u64), self.cold_key_loads);
        let plural = if loads == 1 { "" } else { "s" };
        writeln!(
            f,
            "{callers} callers of one cold key caused {loads} load{plural}"
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
