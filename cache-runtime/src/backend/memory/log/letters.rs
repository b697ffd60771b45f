//! The writes that were given up.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use smallvec::SmallVec;

use crate::backend::log::{Burial, Done, Letter, Payload};
use crate::clock::Moment;
use crate::key::Key;

/// Dead letters, in order and by key.
#[derive(Default)]
pub(super) struct Letters {
    letters: BTreeMap<u64, DeadLetter>,
    by_key: HashMap<Key, SmallVec<[u64; 2]>>,
}

struct DeadLetter {
    burial: Burial,
    buried: Moment,
    /// A later write of its key and function was finished since then.
    superseded: bool,
}

/// A letter that was taken out.
pub(super) struct Removed {
    pub(super) key: Key,
    pub(super) function: String,
    pub(super) payload: Payload,
    pub(super) superseded: bool,
}

impl Letters {
    /// Keeps a letter under the last of its sequence numbers.
    pub(super) fn bury(&mut self, sequence: u64, burial: Burial, now: Moment) -> Option<Removed> {
        let before = self.remove(sequence);
        let key = burial.done.key.clone();
        self.by_key.entry(key).or_default().push(sequence);
        let letter = DeadLetter {
            burial,
            buried: now,
            superseded: false,
        };
        self.letters.insert(sequence, letter);
        before
    }

    /// Writes of the function and the key have run, up to this one.
    pub(super) fn supersede(&mut self, function: &str, key: &Key, through: u64) {
        for &sequence in self.by_key.get(key).into_iter().flatten() {
            if let Some(letter) = self.letters.get_mut(&sequence)
                && sequence < through
                && letter.burial.done.function == function
            {
                letter.superseded = true;
            }
        }
    }

    pub(super) fn remove(&mut self, sequence: u64) -> Option<Removed> {
        let letter = self.letters.remove(&sequence)?;
        let Done { key, function, .. } = letter.burial.done;
        if let Some(sequences) = self.by_key.get_mut(&key) {
            sequences.retain(|other| *other != sequence);
            if sequences.is_empty() {
                self.by_key.remove(&key);
            }
        }
        Some(Removed {
            key,
            function,
            payload: letter.burial.payload,
            superseded: letter.superseded,
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.letters.len() as u64
    }

    pub(super) fn read(&self, after: u64, most: usize, now: Moment) -> Vec<Letter> {
        self.letters
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take(most)
            .map(|(&sequence, letter)| Letter {
                sequence,
                key: letter.burial.done.key.clone(),
                function: letter.burial.done.function.clone(),
                payload: letter.burial.payload.clone(),
                error: letter.burial.error.clone(),
                attempts: letter.burial.attempts,
                age: now.since(letter.buried),
            })
            .collect()
    }
}
