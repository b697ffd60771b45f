//! Tags: names that many entries have in common, each with the number of its last invalidation.
//!
//! The numbers of a namespace's tags come from one logical clock. An entry keeps what that clock said before its load began and is good as
//! long as none of its tags has a greater number. So one number for each entry does, whatever tags it has, also for tags that are known
//! only when the load has ended; and to invalidate a tag is to give it the next number, whatever the number of its entries.

use std::fmt;

use crate::key::Key;

/// A moment of a namespace's logical clock, which each invalidation of tags and each bump of the namespace moves on. Numbers of two stores
/// have nothing to do with each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagVersion(u64);

impl TagVersion {
    /// Before everything.
    pub const ZERO: Self = Self(0);

    /// The moment of this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for TagVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// What the clock of the tags says to one who is about to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The clock: what is loaded from now on is newer than every invalidation of a tag until now.
    pub now: TagVersion,
    /// The last of the invalidations of the tags that were asked about, and of the namespace: what was loaded from before that is not to
    /// be had any more.
    pub last: TagVersion,
}

/// From when a value is, and which tags it has: what it depends on beside its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Basis {
    /// What the clock said before its load began; `None` for a value that is as new as the operation that stores it.
    pub since: Option<TagVersion>,
    /// Its tags, each once.
    pub tags: Tags,
}

/// The most tags that an entry can have.
pub const MAX_TAGS: usize = 256;

/// Names of tags. They are written as keys are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(Vec<Key>);

impl Tags {
    /// No tags.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a tag, unless it is there. One that has no name is left out; so are those after one more than an entry can have, which shows that there are
    /// [too many](Self::are_too_many).
    pub fn push(&mut self, tag: Key) {
        if !tag.as_bytes().is_empty() && !self.are_too_many() && !self.0.contains(&tag) {
            self.0.push(tag);
        }
    }

    /// Whether no entry can have so many: [`MAX_TAGS`].
    #[must_use]
    pub fn are_too_many(&self) -> bool {
        self.0.len() > MAX_TAGS
    }

    /// The tags.
    #[must_use]
    pub fn as_slice(&self) -> &[Key] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Key> for Tags {
    fn from_iter<I: IntoIterator<Item = Key>>(tags: I) -> Self {
        let mut all = Self::new();
        tags.into_iter().for_each(|tag| all.push(tag));
        all
    }
}
