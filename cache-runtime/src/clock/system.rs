//! The process's monotonic clock, exact and, where the system has one, cheap.

/// Reading the exact clock takes about as long as the rest of a lookup. Linux keeps the time of its last tick where a process can
/// read it for a quarter of that; it is never ahead of the exact clock and a few milliseconds behind. It decides whenever
/// the moment asked about is farther away than this, which leaves it a hundred times its usual lag.
pub(super) const LAG: u64 = 1_000_000_000;

#[cfg(target_os = "linux")]
mod source {
    use rustix::time::{ClockId, Timespec, clock_gettime};

    fn nanos(time: Timespec) -> u64 {
        // The clock counts from the boot: neither part is negative, and 584 years fit.
        (time.tv_sec as u64)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(time.tv_nsec as u64)
    }

    pub(in super::super) fn now() -> u64 {
        nanos(clock_gettime(ClockId::Monotonic))
    }

    #[inline]
    pub(in super::super) fn now_at_least() -> u64 {
        nanos(clock_gettime(ClockId::MonotonicCoarse))
    }
}

#[cfg(not(target_os = "linux"))]
mod source {
    use std::time::Instant;

    use once_cell::sync::Lazy;

    static ORIGIN: Lazy<Instant> = Lazy::new(Instant::now);

    pub(in super::super) fn now() -> u64 {
        u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(in super::super) fn now_at_least() -> u64 {
        now()
    }
}

pub(super) use source::{now, now_at_least};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheap_clock_is_never_ahead_and_within_its_lag() {
        for _ in 0..100_000 {
            let cheap = now_at_least();
            let exact = now();
            assert!(cheap <= exact);
            assert!(exact - cheap < LAG);
        }
    }
}
