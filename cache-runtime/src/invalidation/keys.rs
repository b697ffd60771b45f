//! What is to be invalidated.

use smallvec::SmallVec;

use crate::key::Key;

/// The keys and tags that a writer invalidates.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    keys: SmallVec<[Key; 2]>,
    tags: Vec<Key>,
    /// The whole namespace.
    everything: bool,
}

impl Keys {
    /// No keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The whole namespace.
    pub(crate) fn everything() -> Self {
        Self {
            everything: true,
            ..Self::default()
        }
    }

    /// Of tags alone.
    pub(crate) fn of_tags(tags: impl IntoIterator<Item = Key>) -> Self {
        Self {
            tags: tags.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds a key.
    pub fn push(&mut self, key: Key) {
        self.keys.push(key);
    }

    /// Adds a tag.
    pub fn push_tag(&mut self, tag: Key) {
        self.tags.push(tag);
    }

    /// Drops what was added twice. Once, at the end: looking at every key for each would be slow for thousands.
    pub(crate) fn dedup(&mut self) {
        self.keys.sort_unstable();
        self.keys.dedup();
        self.tags.sort_unstable();
        self.tags.dedup();
    }

    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub(crate) fn tags(&self) -> &[Key] {
        &self.tags
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.everything
    }
}

impl FromIterator<Key> for Keys {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            ..Self::default()
        }
    }
}
