//! The tags of the in-memory backend: a clock, a floor for the namespace, and a cell for each tag.
//!
//! An entry holds the cells of its tags, so a hit asks them without a look-up and without a lock. A tag that nothing holds a cell of may be
//! forgotten: it then counts as invalidated when the last of those that were forgotten was, which is never too early.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError};

use crate::backend::{Basis, TagVersion, Versions};
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, RandomState};

const SHARDS: usize = 16;

/// Past so many tags, and then whenever there are twice as many as were left, a shard forgets those that no entry has.
const SWEEP: usize = 1024;

/// When a tag was last invalidated.
type Cell = Arc<AtomicU64>;

/// The cells of an entry's tags.
pub(super) type Cells = Arc<[Cell]>;

/// What an entry depends on, as it keeps it.
#[derive(Clone)]
pub(super) struct Since {
    version: u64,
    /// `None` for no tags, which is what most entries have.
    cells: Option<Cells>,
}

pub(super) struct Table {
    clock: Apart,
    floor: AtomicU64,
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

/// Each invalidation writes it, and each hit reads the floor: in one cache line they would disturb each other.
#[repr(align(128))]
struct Apart(AtomicU64);

#[derive(Default)]
struct Shard {
    cells: HashMap<Key, Cell>,
    sweep_at: usize,
    /// When the last of the forgotten tags was invalidated.
    forgotten: u64,
}

impl Shard {
    fn version(&self, tag: &Key) -> u64 {
        self.cells
            .get(tag)
            .map_or(self.forgotten, |cell| cell.load(Ordering::Acquire))
    }

    fn cell(&mut self, tag: &Key) -> Cell {
        if let Some(known) = self.cells.get(tag) {
            return Arc::clone(known);
        }
        if self.cells.len() >= self.sweep_at.max(SWEEP) {
            self.sweep();
        }
        let cell = Arc::new(AtomicU64::new(self.forgotten));
        self.cells.insert(tag.clone(), Arc::clone(&cell));
        cell
    }

    fn sweep(&mut self) {
        let forgotten = &mut self.forgotten;
        self.cells.retain(|_, cell| {
            let is_held = Arc::strong_count(cell) > 1;
            if !is_held {
                *forgotten = (*forgotten).max(cell.load(Ordering::Acquire));
            }
            is_held
        });
        self.sweep_at = self.cells.len() * 2;
    }
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            // Ahead of the floor, and no entry's number is zero.
            clock: Apart(AtomicU64::new(1)),
            floor: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// A std mutex: it is held for one map operation, or for a sweep, and nothing of a user's runs under it.
    fn shard(&self, tag: &Key) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(tag) as usize % SHARDS;
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> TagVersion {
        TagVersion::from_number(self.clock.0.load(Ordering::SeqCst))
    }

    pub(super) fn versions(&self, tags: &[Key]) -> Versions {
        // The clock first: an invalidation that comes between is then newer than `now`.
        let now = self.now();
        let floor = self.floor.load(Ordering::Acquire);
        let last = tags.iter().map(|tag| self.shard(tag).version(tag));
        Versions {
            now,
            last: TagVersion::from_number(last.max().unwrap_or(0).max(floor)),
        }
    }

    /// The clock moves first, and what a load that begins now is told is at least that.
    fn tick(&self) -> u64 {
        self.clock.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn invalidate(&self, tags: &[Key]) {
        let version = self.tick();
        for tag in tags {
            let cell = self.shard(tag).cell(tag);
            cell.fetch_max(version, Ordering::AcqRel);
        }
    }

    pub(super) fn bump(&self) {
        let version = self.tick();
        self.floor.fetch_max(version, Ordering::AcqRel);
    }

    /// What a new entry depends on; `None` if it is good no more.
    pub(super) fn admit(&self, basis: Option<&Basis>) -> Option<Since> {
        let since = self.since(basis.and_then(|basis| basis.since), basis);
        self.is_good(&since).then_some(since)
    }

    /// What an entry depends on that is as new as can be.
    pub(super) fn as_new(&self, basis: Option<&Basis>) -> Since {
        self.since(None, basis)
    }

    fn since(&self, version: Option<TagVersion>, basis: Option<&Basis>) -> Since {
        let version = version.unwrap_or_else(|| self.now()).number();
        let tags = basis.map_or(&[][..], |basis| basis.tags.as_slice());
        let cells =
            (!tags.is_empty()).then(|| tags.iter().map(|tag| self.shard(tag).cell(tag)).collect());
        Since { version, cells }
    }

    /// What it depends on, if it is stored anew, as new as can be.
    pub(super) fn anew(&self, since: &Since) -> Since {
        Since {
            version: self.now().number(),
            cells: since.cells.clone(),
        }
    }

    #[inline]
    pub(super) fn is_good(&self, since: &Since) -> bool {
        (since.version >= self.floor.load(Ordering::Acquire)
            || mutants::on(Mutant::MemoryFloorIgnored))
            && since.cells.as_ref().is_none_or(|cells| {
                let mut cells = cells.iter();
                cells.all(|cell| since.version >= cell.load(Ordering::Acquire))
                    || mutants::on(Mutant::MemoryTagIgnored)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Tags;

    fn basis(since: Option<TagVersion>, tag: &str) -> Basis {
        Basis {
            since,
            tags: Tags::from_iter([Key::from(tag)]),
        }
    }

    #[test]
    fn a_tag_that_was_forgotten_is_never_too_old() {
        let table = Table::new();
        let before = table.now();
        let held = table.admit(Some(&basis(None, "held"))).expect("good");
        table.invalidate(&[Key::from("gone")]);
        let after = table.now();
        for n in 0..SHARDS * SWEEP * 4 {
            table.invalidate(&[Key::from(format!("t{n}"))]);
        }
        let count: usize = table
            .shards
            .iter()
            .map(|shard| shard.lock().expect("sound").cells.len())
            .sum();
        assert!(count <= SHARDS * SWEEP + SHARDS, "{count} tags are kept");
        assert!(table.admit(Some(&basis(Some(before), "gone"))).is_none());
        // It may be taken for newer than it is.
        let _ = table.admit(Some(&basis(Some(after), "gone")));
        assert!(table.admit(Some(&basis(None, "gone"))).is_some());
        assert!(table.is_good(&held), "what is held is known");
        table.invalidate(&[Key::from("held")]);
        assert!(!table.is_good(&held));
    }
}
