//! The writes that were acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::words::Word;

/// The page of each number. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Acknowledged(Arc<Mutex<BTreeMap<u64, u64>>>);

impl Acknowledged {
    /// Gives back what is no acknowledgement.
    pub(super) fn note(&self, word: Word) -> Option<Word> {
        let Word::Acknowledged { page, number } = word else {
            return Some(word);
        };
        self.pages().insert(number, page);
        None
    }

    pub(super) fn pages(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
