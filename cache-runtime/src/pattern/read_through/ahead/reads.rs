//! When keys were last read, without an entry for each.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Moment;
use crate::key::Key;

/// More than twice the entries that are watched: 2 MiB.
const SLOTS: usize = 1 << 18;

/// Every key has two slots that its hash names, and shares each with other keys. It was read when the older of its two marks says so, or before:
/// a key that nobody reads is taken for read only if both of its slots are shared with keys that are. A key that was read is never missed.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// The times, as numbers; 0 for never. Made when they are first needed.
    slots: OnceLock<Box<[AtomicU64]>>,
    hasher: RandomState,
}

impl Reads {
    /// Makes room for the marks, if there is none yet.
    #[inline]
    pub(super) fn begin(&self) {
        self.slots
            .get_or_init(|| (0..SLOTS).map(|_| AtomicU64::new(0)).collect());
    }

    #[inline]
    pub(super) fn of(&self, key: &Key) -> Option<Marks<'_>> {
        let slots = self.slots.get()?;
        let hash = self.hasher.hash_one(key);
        let one = slots.get(hash as usize % SLOTS)?;
        let other = slots.get((hash >> 32) as usize % SLOTS)?;
        Some(Marks(one, other))
    }

    pub(super) fn was_read_since(&self, key: &Key, moment: Moment) -> bool {
        self.of(key)
            .is_some_and(|marks| marks.last() >= moment.number())
    }
}

/// The two slots of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks<'r>(&'r AtomicU64, &'r AtomicU64);

impl Marks<'_> {
    /// When the key was last read, or later.
    #[inline]
    pub(super) fn last(self) -> u64 {
        let (one, other) = (
            self.0.load(Ordering::Relaxed),
            self.1.load(Ordering::Relaxed),
        );
        one.min(other)
    }

    /// Marks both, where they say something older. Looked at first: many readers of one key share its cache lines, and the cheap clock ticks seldom.
    #[inline]
    pub(super) fn set(self, time: u64) {
        for slot in [self.0, self.1] {
            if slot.load(Ordering::Relaxed) < time {
                slot.store(time, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, ManualClock};

    #[test]
    fn a_read_is_never_missed_and_others_are_seldom_taken_for_one() {
        let clock = Clock::from(ManualClock::new());
        let moment = clock.now().after(Duration::from_secs(1));
        let key = |kind: &str, number: u32| Key::from(format!("{kind}:{number}"));
        let reads = Reads::default();
        assert!(!reads.was_read_since(&key("read", 0), moment));
        reads.begin();
        for number in 0..10_000 {
            let marks = reads.of(&key("read", number));
            marks
                .into_iter()
                .for_each(|marks| marks.set(moment.number()));
        }
        let known = (0..10_000)
            .filter(|&number| reads.was_read_since(&key("read", number), moment))
            .count();
        assert_eq!(known, 10_000);
        // One of 185; with a slot for each key it would be one of 13, even of as many slots one of 26.
        let mistaken = (0..10_000)
            .filter(|&number| reads.was_read_since(&key("cold", number), moment))
            .count();
        assert!(mistaken < 200, "{mistaken}");
    }
}
