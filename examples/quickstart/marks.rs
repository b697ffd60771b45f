//! By what a read is judged stale.

use std::sync::atomic::{AtomicU64, Ordering};

/// For each product, the newest version whose writer has returned.
///
/// A writer returns after its write is committed *and* the cached entry is invalidated. The promise is that a read that begins
/// then never gets anything older. So a read notes the mark before it begins, and is stale if it comes back with a lower version.
///
/// The database's version at the time of the read would be the wrong yardstick: a write that is committed while its writer is
/// still on its way to the cache may be seen or not, as it may without any cache.
#[derive(Debug)]
pub(crate) struct Marks(Box<[AtomicU64]>);

impl Marks {
    pub(crate) fn new(products: u32) -> Self {
        Self((0..products).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn of(&self, id: u32) -> u64 {
        self.0[id as usize].load(Ordering::Acquire)
    }

    /// Raises the mark; writers of one product may come here in another order than they committed in.
    pub(crate) fn raise(&self, id: u32, version: u64) {
        self.0[id as usize].fetch_max(version, Ordering::AcqRel);
    }
}
