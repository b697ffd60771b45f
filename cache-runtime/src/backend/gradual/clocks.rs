//! Two clocks of tags, whose numbers have nothing to do with each other.
//!
//! What callers are told in answer to a question for a lease is of the backend that was asked, and the numbers of the new one are marked as such: they are compared
//! with each other, and come back with the value. What they are told before a write is the old backend's, which a write is about wherever its
//! value goes in the end. If that is the new backend, the number is translated: to one that its clock said before the old one said the caller's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::backend::{Basis, Encoded, Lease, Stored, TagVersion, Typed, Versions};
use crate::entry::header::{self, SINCE};

/// Set in the numbers of the new backend. A clock counts microseconds since 1970 and will not get there.
const NEW: u64 = 1 << 62;

fn mark(version: TagVersion) -> TagVersion {
    TagVersion::from_number(version.number() | NEW)
}

fn mark_both(versions: Versions) -> Versions {
    Versions {
        now: mark(versions.now),
        last: mark(versions.last),
    }
}

/// An answer of the new backend, as callers are told it.
pub(super) fn of_new(lease: Lease) -> Lease {
    match lease {
        Lease::Hit(stored) => Lease::Hit(stored),
        Lease::Granted(versions) => Lease::Granted(mark_both(versions)),
        Lease::Busy(token, versions) => Lease::Busy(token, mark_both(versions)),
        Lease::Bypass(token, versions) => Lease::Bypass(token, mark_both(versions)),
    }
}

/// So many moments of both clocks are known.
const MOMENTS: usize = 4096;

/// Moments of both clocks: for each of the old one, one of the new one that was before it.
#[derive(Debug, Default)]
pub(super) struct Clocks(Mutex<BTreeMap<u64, u64>>);

impl Clocks {
    /// Notes that the new backend's clock said `new`, and after that the old one's `old`.
    pub(super) fn note(&self, new: TagVersion, old: TagVersion) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.entry(old.number()).or_insert(new.number());
        // Of several moments that the old clock calls by one number the first is before all of them.
        *before = new.number().min(*before);
        if known.len() > MOMENTS {
            // Every second of those that are not the last: what is translated by one of them is a little older than it could be.
            let last = known.keys().nth_back(MOMENTS / 4).copied();
            let mut keep = false;
            known.retain(|old, _| {
                keep = !keep;
                keep || last.is_some_and(|last| *old >= last)
            });
        }
    }

    /// A moment of the new clock that was not after this one of the old.
    fn translate(&self, old: u64) -> Option<u64> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.range(..=old).next_back().map(|(_, new)| *new)
    }

    /// The value, to be stored in the new backend; `None` if that could not tell whether it is good.
    pub(super) fn for_new(&self, value: Stored) -> Option<Stored> {
        match since(&value) {
            None => Some(value),
            Some(number) if number & NEW != 0 => Some(rebase(value, number & !NEW)),
            Some(number) => self.translate(number).map(|number| rebase(value, number)),
        }
    }
}

/// The value, to be stored in the old backend; `None` if that could not tell whether it is good: it is from a load that the new one was asked about.
pub(super) fn for_old(value: Stored) -> Option<Stored> {
    let is_old = since(&value).is_none_or(|number| number & NEW == 0);
    is_old.then_some(value)
}

/// From when the value is, if it says so.
fn since(value: &Stored) -> Option<u64> {
    match value {
        Stored::Typed(typed) => typed.basis.as_ref()?.since.map(TagVersion::number),
        Stored::Encoded(entry) => {
            let (number, _) = header::depends(&entry.bytes)?;
            Some(number).filter(|number| *number != 0)
        }
    }
}

/// The value with another number.
fn rebase(value: Stored, number: u64) -> Stored {
    match value {
        Stored::Typed(Typed { value, life, basis }) => {
            let basis = basis.map(|basis| {
                Arc::new(Basis {
                    since: Some(TagVersion::from_number(number)),
                    tags: basis.tags.clone(),
                })
            });
            Stored::Typed(Typed { value, life, basis })
        }
        Stored::Encoded(Encoded { bytes, age }) => {
            let mut changed = bytes.to_vec();
            // It is there: the number was read from it.
            if let Some(since) = changed.get_mut(SINCE) {
                since.copy_from_slice(&number.to_le_bytes());
            }
            Stored::Encoded(Encoded::aged(Bytes::from(changed), age))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Life;

    fn value(since: Option<u64>) -> Stored {
        let since = since.map(TagVersion::from_number);
        let tags = ["org:7".into()].into_iter().collect();
        let life = Life::new(std::time::Duration::from_secs(1));
        let mut typed = Typed::new(Arc::new(1), life);
        typed.basis = Some(Arc::new(Basis { since, tags }));
        Stored::Typed(typed)
    }

    fn clocks(moments: impl IntoIterator<Item = (u64, u64)>) -> Clocks {
        let clocks = Clocks::default();
        for (new, old) in moments {
            clocks.note(TagVersion::from_number(new), TagVersion::from_number(old));
        }
        clocks
    }

    fn translated(clocks: &Clocks, number: Option<u64>) -> Option<Option<u64>> {
        clocks.for_new(value(number)).map(|value| since(&value))
    }

    #[test]
    fn a_number_is_translated_to_an_earlier_one() {
        let clocks = clocks([(100, 10), (200, 20), (190, 20), (300, 30)]);
        for (old, new) in [(10, 100), (15, 100), (20, 190), (29, 190), (500, 300)] {
            assert_eq!(translated(&clocks, Some(old)), Some(Some(new)), "{old}");
        }
        assert_eq!(
            translated(&clocks, Some(9)),
            None,
            "from before all that is known"
        );
        assert_eq!(
            translated(&clocks, None),
            Some(None),
            "as new as the operation"
        );
    }

    #[test]
    fn a_number_of_the_new_clock_comes_back_as_it_was_and_is_nothing_to_the_old() {
        let number = mark(TagVersion::from_number(77)).number();
        assert_eq!(translated(&clocks([]), Some(number)), Some(Some(77)));
        assert!(for_old(value(Some(number))).is_none());
        assert!(for_old(value(Some(77))).is_some() && for_old(value(None)).is_some());
    }

    #[test]
    fn what_is_known_is_bounded_and_stays_true() {
        let clocks = clocks((0..50_000).map(|n| (n * 3, n)));
        assert!(clocks.0.lock().expect("no panic").len() <= MOMENTS + 1);
        for old in (0..50_000).step_by(97) {
            let new = translated(&clocks, Some(old))
                .expect("the first is kept")
                .expect("a number");
            assert!(new <= old * 3);
        }
        assert_eq!(translated(&clocks, Some(49_999)), Some(Some(49_999 * 3)));
    }

    #[test]
    fn the_bytes_of_an_entry_are_changed_in_their_number_alone() {
        let mut bytes = vec![7; 100];
        bytes[..8].copy_from_slice(b"CRT\x02\x04\0\0\0");
        bytes[SINCE].copy_from_slice(&10_u64.to_le_bytes());
        let entry = Stored::Encoded(Encoded::new(bytes.clone().into()));
        let Some(Stored::Encoded(changed)) = clocks([(100, 10)]).for_new(entry) else {
            panic!("it can be translated");
        };
        bytes[SINCE].copy_from_slice(&100_u64.to_le_bytes());
        assert_eq!(changed.bytes, bytes);
        let strange = Stored::Encoded(Encoded::new(Bytes::from_static(b"CONFORM!")));
        assert!(clocks([]).for_new(strange).is_some());
    }
}
