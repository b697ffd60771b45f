//! Invalidations that could not be delivered, kept until they can be.

use std::collections::HashSet;
use std::sync::PoisonError;

use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::sync::{Mutex, MutexGuard, RandomState};

/// What is to be invalidated.
#[derive(Debug, Clone, Copy)]
pub(super) enum What<'a> {
    Keys(&'a [Key]),
    Tags(&'a [Key]),
    /// The whole namespace.
    Everything,
}

/// A bounded set of keys and tags. Past its bound single ones are forgotten and everything is owed instead: giving up the
/// namespace costs hits, forgetting an invalidation would cost the truth.
#[derive(Debug)]
pub(super) struct Backlog {
    bound: usize,
    owed: Mutex<Owed>,
}

#[derive(Debug, Default)]
struct Owed {
    keys: HashSet<Key, RandomState>,
    tags: HashSet<Key, RandomState>,
    everything: bool,
}

/// What is to be delivered next.
#[derive(Debug)]
pub(super) enum Due {
    Nothing,
    Keys(Vec<Key>),
    Tags(Vec<Key>),
    Everything,
}

impl Due {
    /// `None` for nothing.
    pub(super) fn what(&self) -> Option<What<'_>> {
        match self {
            Self::Nothing => None,
            Self::Keys(keys) => Some(What::Keys(keys)),
            Self::Tags(tags) => Some(What::Tags(tags)),
            Self::Everything => Some(What::Everything),
        }
    }
}

impl From<What<'_>> for Due {
    fn from(what: What<'_>) -> Self {
        match what {
            What::Keys(keys) => Self::Keys(keys.to_vec()),
            What::Tags(tags) => Self::Tags(tags.to_vec()),
            What::Everything => Self::Everything,
        }
    }
}

impl Owed {
    fn len(&self) -> usize {
        self.keys.len() + self.tags.len()
    }

    fn owe_everything(&mut self) {
        self.keys = HashSet::default();
        self.tags = HashSet::default();
        self.everything = !mutants::on(Mutant::BacklogForgetsPastItsBound);
    }
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

    /// Keeps it if `still` holds under the lock that [`next`](Self::next) closes the breaker under.
    pub(super) fn keep(&self, what: What<'_>, still: impl FnOnce() -> bool) -> bool {
        let mut owed = self.owed();
        if !still() {
            return false;
        }
        if owed.everything || mutants::on(Mutant::UndeliveredForgotten) {
            return true;
        }
        match what {
            What::Keys(keys) => owed.keys.extend(keys.iter().cloned()),
            What::Tags(tags) => owed.tags.extend(tags.iter().cloned()),
            What::Everything => owed.owe_everything(),
        }
        if owed.len() > self.bound {
            tracing::error!(
                bound = self.bound,
                "too many undelivered invalidations: the whole namespace will be invalidated when the backend is back"
            );
            owed.owe_everything();
        }
        true
    }

    /// Takes out what is due; if that is nothing, runs `settled` before anybody can add to it.
    pub(super) fn next(&self, batch: usize, settled: impl FnOnce()) -> Due {
        let mut owed = self.owed();
        if owed.everything {
            owed.everything = false;
            return Due::Everything;
        }
        let keys = take(&mut owed.keys, batch);
        if !keys.is_empty() {
            return Due::Keys(keys);
        }
        let tags = take(&mut owed.tags, batch);
        if !tags.is_empty() {
            return Due::Tags(tags);
        }
        settled();
        Due::Nothing
    }

    pub(super) fn len(&self) -> usize {
        self.owed().len()
    }
}

fn take(names: &mut HashSet<Key, RandomState>, most: usize) -> Vec<Key> {
    let taken: Vec<Key> = names.iter().take(most).cloned().collect();
    for name in &taken {
        names.remove(name);
    }
    taken
}
