//! What a task does, one operation after the other.

use super::random::Random;
use crate::keys::{QUIETER, RowId};

/// One operation in so many is a write.
const WRITES: u64 = 8;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Choice {
    Read(RowId),
    /// Whether it is by write-through, where the row has both sorts of writers.
    Write(RowId, bool),
}

/// The operations of a task. The seed and the session say it all: nothing else draws from here, whatever hits and whatever misses.
#[derive(Debug)]
pub(super) struct Choices(Random);

impl Choices {
    pub(super) fn new(seed: u64, session: u64) -> Self {
        Self(Random::new(!seed, session))
    }

    pub(super) fn next(&self, rows: &[RowId]) -> Choice {
        let draw = |bound: usize| usize::try_from(self.0.below(bound as u64)).unwrap_or(0);
        let row = rows[draw(rows.len())];
        let mut is_write = self.0.one_in(WRITES);
        if is_write && row.is_quiet() {
            is_write = self.0.one_in(QUIETER);
        }
        if is_write {
            Choice::Write(row, self.0.one_in(2))
        } else {
            Choice::Read(row)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Mode;

    #[test]
    fn the_seed_says_it_all() {
        let rows: Vec<_> = RowId::all_of(Mode::Strict, 1).collect();
        let operations = |seed, session| -> Vec<_> {
            let choices = Choices::new(seed, session);
            (0..200).map(|_| choices.next(&rows)).collect()
        };
        assert_eq!(operations(7, 1), operations(7, 1));
        assert_ne!(operations(7, 1), operations(8, 1));
        assert_ne!(operations(7, 1), operations(7, 2));
        let is_write = |choice: &&Choice| matches!(choice, Choice::Write(..));
        assert!(operations(7, 1).iter().filter(is_write).count() > 3);
    }
}
