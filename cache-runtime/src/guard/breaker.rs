//! The circuit breaker: closed while the backend answers, open from its failure until a probe succeeds.

use std::sync::Arc;

use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Callers never are the probe: while it is open they are answered at once, and a task in the background tries the backend.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    open: AtomicBool,
    timeouts: AtomicU32,
    openings: AtomicU64,
    probing: Arc<AtomicBool>,
}

/// Held by the task that probes; at most one at a time.
#[derive(Debug)]
pub(super) struct Probing(Arc<AtomicBool>);

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    pub(super) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    /// `true` if it was closed before.
    pub(super) fn open(&self) -> bool {
        let opened = !self.open.swap(true, Ordering::AcqRel);
        if opened {
            self.openings.fetch_add(1, Ordering::Relaxed);
        }
        opened
    }

    pub(super) fn close(&self) {
        self.timeouts.store(0, Ordering::Relaxed);
        self.open.store(false, Ordering::Release);
    }

    pub(super) fn succeeded(&self) {
        // Read first: every operation comes here, and a store would pull the cache line from the other cores.
        if self.timeouts.load(Ordering::Relaxed) != 0 {
            self.timeouts.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a timeout. `true` if it was the one that opened the breaker.
    pub(super) fn timed_out(&self, enough: u32) -> bool {
        self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= enough && self.open()
    }

    /// The right to probe, if nobody has it.
    pub(super) fn start_probing(&self) -> Option<Probing> {
        let free = self
            .probing
            .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed);
        free.is_ok().then(|| Probing(Arc::clone(&self.probing)))
    }
}
