//! How long invalidations take from one region to another, in a bounded number of counters.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each power of two of microseconds is divided into so many parts: a quantile is exact to an eighth.
const PARTS: usize = 8;
const PARTS_BITS: u32 = PARTS.trailing_zeros();
/// Times up to 2^44 microseconds, which are half a year.
const COUNTERS: usize = 42 * PARTS;

/// A histogram of times.
#[derive(Debug)]
pub(super) struct Lags {
    counts: Box<[AtomicU64]>,
    last: AtomicU64,
}

impl Default for Lags {
    fn default() -> Self {
        Self {
            counts: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            last: AtomicU64::new(0),
        }
    }
}

/// The counter of a time in microseconds.
fn place(micros: u64) -> usize {
    // The highest bit says which power of two, and the next ones which part of it; below that each has its own.
    let power = u64::BITS - micros.leading_zeros();
    if power <= PARTS_BITS {
        return micros as usize;
    }
    let shift = power - PARTS_BITS - 1;
    let part = (micros >> shift) as usize - PARTS;
    ((shift as usize + 1) * PARTS + part).min(COUNTERS - 1)
}

/// The least time that is beyond a counter.
fn end(place: usize) -> u64 {
    if place < PARTS {
        return place as u64 + 1;
    }
    let shift = place / PARTS - 1;
    ((place % PARTS + PARTS + 1) as u64) << shift
}

impl Lags {
    /// Notes a time that so many invalidations took.
    pub(super) fn note(&self, lag: Duration, invalidations: u64) {
        let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.counts[place(micros)].fetch_add(invalidations, Ordering::Relaxed);
        self.last.store(micros, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Duration {
        Duration::from_micros(self.last.load(Ordering::Relaxed))
    }

    /// The times that these shares of all do not exceed, each rounded up to the next eighth; zero where there are none.
    pub(super) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [Duration; N] {
        let counts: Vec<u64> = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let total: u64 = counts.iter().sum();
        shares.map(|share| {
            let wanted = (total as f64 * share).ceil() as u64;
            let mut seen = 0;
            let found = counts.iter().position(|count| {
                seen += count;
                total > 0 && seen >= wanted
            });
            found.map_or(Duration::ZERO, |place| Duration::from_micros(end(place)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_counter_that_ends_after_it() {
        for micros in (0..5000).chain((0..43).map(|power| 1 << power)) {
            let place = place(micros);
            assert!(micros < end(place), "{micros}");
            assert!(place == 0 || micros >= end(place - 1), "{micros}");
            let width = end(place) - if place == 0 { 0 } else { end(place - 1) };
            assert!(width == 1 || width * PARTS as u64 <= micros, "{micros}");
        }
        assert_eq!(place(u64::MAX), COUNTERS - 1);
    }

    #[test]
    fn quantiles_are_of_what_was_noted() {
        let lags = Lags::default();
        assert_eq!(lags.quantiles([0.5, 0.99]), [Duration::ZERO; 2]);
        for millis in 1..=100 {
            lags.note(Duration::from_millis(millis), 3);
        }
        let [median, most] = lags.quantiles([0.5, 0.99]).map(|lag| lag.as_millis());
        assert!((50..=57).contains(&median), "{median}");
        assert!((99..=112).contains(&most), "{most}");
        assert_eq!(lags.last(), Duration::from_millis(100));
    }
}
