//! Pending values: what a logged write says of its key, from its append to its end.

use super::Slot;
use super::change::Change;
use super::state::State;
use crate::backend::Stored;
use crate::mutants::{self, Mutant};

/// The value of the last logged write of a key that has one.
pub(super) struct Pending {
    sequence: u64,
    slot: Slot,
    /// Something else changed the row beside the write: which of the two was first is not known.
    disputed: bool,
}

impl State {
    /// Something else changed the row: what a pending write told is not to stay in the cache when the write is finished.
    pub(super) fn dispute(&mut self) {
        if let Some(pending) = &mut self.pending
            && !mutants::on(Mutant::MemoryDisputeNotNoted)
        {
            pending.disputed = true;
        }
    }
}

/// How the pending value was when writes of its key ended.
#[derive(Default)]
struct Settled {
    was_pending: bool,
    was_disputed: bool,
}

impl Change<'_> {
    /// The pending value as if it were stored now, which it is unless a write is in progress.
    pub(super) fn answer_pending(&mut self) -> Option<Stored> {
        let state = self.shard.existing(self.key)?;
        let pending = state
            .pending
            .as_mut()
            .filter(|_| !mutants::on(Mutant::MemoryPendingNotRead))?;
        // Its rows may have been changed after its body has run: which of the two was first is not known.
        pending.disputed |= !self.memory.tags.is_good(&pending.slot.since);
        let since = self.memory.tags.anew(&pending.slot.since);
        let slot = pending.slot.stored_at(self.now, since);
        if state.write_in_progress(self.now).is_none() {
            self.insert(slot.clone());
        }
        Some(Stored::Typed(slot.into_typed(self.now)))
    }

    /// A write of the key was appended.
    pub(super) fn appended(&mut self, sequence: u64, slot: Option<Slot>) {
        if let Some(state) = self.shard.existing(self.key) {
            state.overlap();
        }
        let Some(slot) = slot else { return };
        self.shard.end_lease(self.key, self.now);
        let state = self.shard.state(self.key, self.now);
        let is_written = state.write_in_progress(self.now).is_some();
        let pending = Pending {
            sequence,
            slot: slot.clone(),
            disputed: is_written,
        };
        let before = state.pending.replace(Box::new(pending));
        self.leftover
            .evicted
            .extend(before.map(|before| before.slot));
        if is_written {
            // Readers that find it here would find it also after the write beside it has been committed.
            self.remove_value();
        } else {
            let since = self.memory.tags.anew(&slot.since);
            self.insert(slot.stored_at(self.now, since));
        }
    }

    /// Writes of the key have run. What a write in progress holds may be from before that.
    pub(super) fn finished(&mut self, sequences: &[u64], invalidates: bool) {
        let settled = self.settle(sequences);
        if settled.was_disputed || invalidates {
            self.remove_value();
            self.shard.end_lease(self.key, self.now);
        }
    }

    /// Writes of the key were given up, with what they said of it. Whether they had run before they failed is not known, so a write in
    /// progress is not newer for certain.
    pub(super) fn buried(&mut self, sequences: &[u64], invalidates: bool) {
        let settled = self.settle(sequences);
        if settled.was_pending || invalidates {
            self.remove_value();
            self.shard.end_lease(self.key, self.now);
        }
    }

    /// Ends the pending value if it is of one of these writes.
    fn settle(&mut self, sequences: &[u64]) -> Settled {
        let Some(state) = self.shard.existing(self.key) else {
            return Settled::default();
        };
        state.overlap();
        let ended = state
            .pending
            .take_if(|pending| sequences.contains(&pending.sequence));
        self.shard.forget_if_idle(self.key, self.now);
        let settled = Settled {
            was_pending: ended.is_some(),
            was_disputed: ended.as_ref().is_some_and(|ended| ended.disputed),
        };
        self.leftover.evicted.extend(ended.map(|ended| ended.slot));
        settled
    }
}
