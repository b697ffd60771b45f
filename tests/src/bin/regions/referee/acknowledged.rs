//! The writes that were acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::words::Word;

/// How many there were, and the last version of each row. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Acknowledged(Arc<Mutex<Writes>>);

#[derive(Debug, Default)]
struct Writes {
    count: u64,
    versions: BTreeMap<u64, u64>,
}

impl Acknowledged {
    fn writes(&self) -> MutexGuard<'_, Writes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what is no acknowledgement.
    pub(super) fn note(&self, word: Word) -> Option<Word> {
        let Word::Acknowledged { row, version } = word else {
            return Some(word);
        };
        let mut writes = self.writes();
        writes.count += 1;
        let last = writes.versions.entry(row).or_default();
        *last = version.max(*last);
        None
    }

    pub(super) fn count(&self) -> u64 {
        self.writes().count
    }

    /// The last version of each row from this one on.
    pub(super) fn versions_from(&self, first: u64) -> BTreeMap<u64, u64> {
        let writes = self.writes();
        let last = writes.versions.range(first..);
        last.map(|(&row, &version)| (row, version)).collect()
    }
}
