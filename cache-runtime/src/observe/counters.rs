//! Counters that many threads raise without sharing a cache line and, but for very many threads, without a locked instruction.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// So many threads have a stripe of their own; all further ones share the last.
const OWN: usize = 32;

/// What is counted for each function.
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
pub(crate) enum Count {
    Hits,
    Misses,
    Loads,
    LoadMicros,
    Coalesced,
    RejectedFills,
    Errors,
    Unreadable,
    LoadErrors,
    Refreshes,
    StaleHits,
    StaleOnError,
    Timeouts,
    Writes,
    WriteErrors,
}

const COUNTS: usize = Count::WriteErrors as usize + 1;

/// One thread's share. Two cache lines, so that the prefetcher of a neighbour does not pull it either.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; COUNTS]);

/// The counters of one function in one cache. A thread's stripe is made at its first call.
#[derive(Debug)]
pub(crate) struct Counters([OnceLock<Box<Stripe>>; OWN + 1]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| OnceLock::new()))
    }
}

impl Counters {
    #[inline]
    pub(crate) fn add(&self, count: Count, by: u64) {
        let stripe = stripe();
        let counter = &self.0[stripe].get_or_init(Box::default).0[count as usize];
        if stripe < OWN {
            // No other thread writes to it: two plain moves do what a locked addition would.
            counter.store(
                counter.load(Ordering::Relaxed).wrapping_add(by),
                Ordering::Relaxed,
            );
        } else {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn one(&self, count: Count) {
        self.add(count, 1);
    }

    pub(crate) fn sum(&self, count: Count) -> u64 {
        let stripes = self.0.iter().filter_map(OnceLock::get);
        stripes
            .map(|stripe| stripe.0[count as usize].load(Ordering::Relaxed))
            .sum()
    }
}

/// The stripes that no thread has. A thread that ends gives its own back, by way of this lock, so its counts are seen by the next.
static FREE: Mutex<Free> = Mutex::new(Free {
    returned: BTreeSet::new(),
    fresh: 0,
});

struct Free {
    returned: BTreeSet<usize>,
    fresh: usize,
}

struct Owned(usize);

impl Owned {
    fn take() -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stripe) = free.returned.pop_first() {
            return Self(stripe);
        }
        if free.fresh == OWN {
            return Self(OWN);
        }
        free.fresh += 1;
        Self(free.fresh - 1)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.0 < OWN {
            FREE.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .returned
                .insert(self.0);
        }
    }
}

#[inline]
fn stripe() -> usize {
    thread_local! {
        static STRIPE: Owned = Owned::take();
    }
    // A thread whose locals are gone already counts in the shared stripe.
    STRIPE.try_with(|owned| owned.0).unwrap_or(OWN)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn more_threads_than_stripes_lose_no_count() {
        let counters = Arc::new(Counters::default());
        for _ in 0..3 {
            let threads: Vec<_> = (0..OWN + 8)
                .map(|_| {
                    let counters = counters.clone();
                    std::thread::spawn(move || (0..1000).for_each(|_| counters.one(Count::Hits)))
                })
                .collect();
            for thread in threads {
                thread.join().expect("a counting thread");
            }
        }
        assert_eq!(counters.sum(Count::Hits), 3 * (OWN as u64 + 8) * 1000);
    }
}
