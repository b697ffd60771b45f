//! The writes that were acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The page of each number. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Acknowledged(Arc<Mutex<BTreeMap<u64, u64>>>);

impl Acknowledged {
    pub(super) fn note(&self, page: u64, number: u64) {
        self.pages().insert(number, page);
    }

    pub(super) fn pages(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
