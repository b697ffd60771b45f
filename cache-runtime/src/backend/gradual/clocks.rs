//! Two clocks of tags, whose numbers have nothing to do with each other.
//!
//! What callers are told is always what the old backend's clock says: of one key they may be told at one backend and store at the other, and they compare what they
//! were told. A value that is stored in the new one has its number translated, to one that the new clock said before the old one said the
//! caller's: by that it is rather too old than too new.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::backend::{Basis, Encoded, Stored, TagVersion, Tags, Typed};
use crate::entry::header::{self, SINCE};

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
            Some(number) => self.translate(number).map(|number| rebase(value, number)),
        }
    }
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

/// The tags of the value.
pub(super) fn tags_of(value: &Stored) -> Tags {
    let basis = match value {
        Stored::Typed(typed) => typed.basis.as_ref().map(|basis| basis.tags.clone()),
        Stored::Encoded(entry) => entry.basis().map(|basis| basis.tags),
    };
    basis.unwrap_or_default()
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
