//! One key's value and state, changed together under the lock of its shard.

use std::time::Duration;

use quick_cache::Lifecycle;
use smallvec::SmallVec;

use super::state::Shard;
use super::{Memory, Name, Slot};
use crate::backend::log::Payload;
use crate::backend::{SharedValue, Stored, Typed};
use crate::clock::Moment;
use crate::key::Key;

/// What an operation took out, kept until no lock is held.
#[derive(Default)]
pub(super) struct Leftover {
    pub(super) removed: SmallVec<[(Name, Slot); 1]>,
    pub(super) evicted: SmallVec<[Slot; 2]>,
    pub(super) seen: SmallVec<[SharedValue; 1]>,
    pub(super) payloads: Vec<Payload>,
}

/// Collects what an insertion replaces or evicts.
#[derive(Clone)]
pub(super) struct Evictions;

impl Lifecycle<Name, Slot> for Evictions {
    type RequestState = SmallVec<[Slot; 2]>;

    fn on_evict(&self, evicted: &mut Self::RequestState, _: Name, slot: Slot) {
        evicted.push(slot);
    }
}

/// One key's value and state, under the lock.
pub(super) struct Change<'a> {
    pub(super) memory: &'a Memory,
    pub(super) key: &'a Key,
    pub(super) now: Moment,
    pub(super) shard: &'a mut Shard,
    pub(super) leftover: &'a mut Leftover,
}

impl Change<'_> {
    /// The value, if it is alive. One that is not is left where it is: it is the lookup's own copy of it that must not be
    /// dropped here, in case that it becomes the last.
    pub(super) fn lookup(&mut self) -> Option<Stored> {
        let slot = self.memory.values.get(self.key.as_bytes())?;
        if self.now >= slot.kept_until() || !self.memory.tags.is_good(&slot.since) {
            self.leftover.seen.push(slot.value);
            return None;
        }
        Some(Stored::Typed(slot.into_typed(self.now)))
    }

    /// A copy that was looked at and is not needed.
    pub(super) fn keep_for_later(&mut self, stored: Stored) {
        if let Stored::Typed(typed) = stored {
            self.leftover.seen.push(typed.value);
        }
    }

    /// A value that is not stored: whoever gave it may hold no other copy.
    pub(super) fn refuse(&mut self, typed: Typed) {
        self.leftover.seen.push(typed.value);
    }

    pub(super) fn remove_value(&mut self) {
        let removed = self.memory.values.remove(self.key.as_bytes());
        self.leftover.removed.extend(removed);
    }

    /// Stores the value, unless it is from before an invalidation of one of its tags: `false`.
    pub(super) fn store(&mut self, typed: Typed, keep: Duration) -> bool {
        let Some(since) = self.memory.tags.admit(typed.basis.as_deref()) else {
            self.refuse(typed);
            return false;
        };
        let weight = self.memory.weigher.weigh(self.key, &*typed.value);
        self.insert(Slot::new(typed, keep, self.now, weight, since));
        true
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        self.memory.values.insert_with_lifecycle(
            Name::from_slice(self.key.as_bytes()),
            slot,
            &mut self.leftover.evicted,
        );
    }
}
