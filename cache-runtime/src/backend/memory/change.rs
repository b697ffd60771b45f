//! One key's value and state, changed together under the lock of its shard.

use std::time::Duration;

use quick_cache::Lifecycle;
use smallvec::SmallVec;

use super::state::Shard;
use super::{Memory, Name, Slot};
use crate::backend::{Stored, Typed};
use crate::clock::Moment;
use crate::key::Key;

/// What an operation took out, kept until no lock is held.
#[derive(Default)]
pub(super) struct Leftover {
    pub(super) removed: Option<(Name, Slot)>,
    pub(super) evicted: SmallVec<[Slot; 2]>,
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
        if self.memory.clock.has_come(slot.deadline) {
            self.leftover.evicted.push(slot);
            return None;
        }
        Some(Stored::Typed(slot.into_typed()))
    }

    pub(super) fn remove_value(&mut self) {
        self.leftover.removed = self.memory.values.remove(self.key.as_bytes());
    }

    pub(super) fn store(&mut self, typed: Typed, ttl: Duration) {
        let weight = self.memory.weigher.weigh(self.key, &*typed.value);
        let load_time = u32::try_from(typed.load_time.as_micros()).unwrap_or(u32::MAX);
        let slot = Slot {
            deadline: self.now.after(ttl),
            value: typed.value,
            weight,
            load_time,
        };
        self.memory.values.insert_with_lifecycle(
            Name::from_slice(self.key.as_bytes()),
            slot,
            &mut self.leftover.evicted,
        );
    }
}
