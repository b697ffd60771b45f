//! Invalidations that could not be delivered, kept until they can be.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::Key;

/// A bounded set of keys. Past its bound single keys are forgotten and everything is owed instead: clearing the
/// namespace costs hits, forgetting an invalidation would cost the truth.
#[derive(Debug)]
pub(super) struct Backlog {
    bound: usize,
    owed: Mutex<Owed>,
}

#[derive(Debug, Default)]
struct Owed {
    keys: HashSet<Key>,
    everything: bool,
}

/// What is to be delivered next.
#[derive(Debug)]
pub(super) enum Due {
    Nothing,
    Keys(Vec<Key>),
    Everything,
}

impl Backlog {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            owed: Mutex::default(),
        }
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the keys if `still` holds under the lock that [`next`](Self::next) closes the breaker under.
    pub(super) fn keep(&self, keys: &[Key], still: impl FnOnce() -> bool) -> bool {
        let mut owed = self.owed();
        if !still() {
            return false;
        }
        if !owed.everything {
            owed.keys.extend(keys.iter().cloned());
            if owed.keys.len() > self.bound {
                tracing::error!(
                    bound = self.bound,
                    "too many undelivered invalidations: the whole namespace will be cleared when the backend is back"
                );
                owed.keys = HashSet::new();
                owed.everything = true;
            }
        }
        true
    }

    pub(super) fn keep_everything(&self) {
        let mut owed = self.owed();
        owed.keys = HashSet::new();
        owed.everything = true;
    }

    /// Takes out what is due; if that is nothing, runs `settled` before anybody can add to it.
    pub(super) fn next(&self, batch: usize, settled: impl FnOnce()) -> Due {
        let mut owed = self.owed();
        if owed.everything {
            owed.everything = false;
            return Due::Everything;
        }
        let due: Vec<Key> = owed.keys.iter().take(batch).cloned().collect();
        if due.is_empty() {
            settled();
            return Due::Nothing;
        }
        for key in &due {
            owed.keys.remove(key);
        }
        Due::Keys(due)
    }

    pub(super) fn len(&self) -> usize {
        self.owed().keys.len()
    }
}
