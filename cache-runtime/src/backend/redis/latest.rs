//! Versions of tags that were read lately. While the clock of the tags stands still no tag is invalidated, so what was read at one time of it is true
//! of every later answer that shows the same time: nobody has to ask again.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::tags::Floor;
use crate::key::Key;

/// So many tags are kept, of a hundred bytes each or so. One more, and they are read anew.
const MOST: usize = 16 * 1024;

/// After so many answers with one time of the clock a read relies on it that the next will show it too. Where tags are invalidated all the time that
/// is wrong for one answer in as many, and costs its callers a second round trip.
const STEADY: usize = 8;

/// A version, of which nothing may be known; and one that is known may be lost.
pub(super) type Known = Option<Option<u64>>;

/// What one connection has read of the tags.
#[derive(Debug, Default)]
pub(super) struct Latest(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    /// What the clock said when they were read.
    clock: u64,
    /// How many answers have shown that.
    answers: usize,
    versions: HashMap<Key, u64>,
}

/// What a read may rely on if its answer shows this time of the clock.
#[derive(Debug)]
pub(super) struct Steady<'l>(Option<RwLockReadGuard<'l, State>>);

impl Steady<'_> {
    pub(super) fn clock(&self) -> u64 {
        self.0.as_ref().map_or(0, |state| state.clock)
    }

    pub(super) fn version(&self, tag: &Key) -> Option<u64> {
        self.0.as_ref()?.versions.get(tag).copied()
    }
}

impl Latest {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next answer will show too, in all likelihood.
    pub(super) fn steady(&self) -> Steady<'_> {
        let state = self.state();
        Steady((state.answers >= STEADY).then_some(state))
    }

    /// The version of a tag at this time of the clock.
    pub(super) fn at(&self, clock: u64, tag: &[u8]) -> Known {
        let state = self.state();
        let version = (state.clock == clock).then(|| state.versions.get(tag))?;
        version.copied().map(Some)
    }

    /// Takes what one answer showed: the clock, and of these tags the versions at that time. Those that were lost are asked for again.
    pub(super) fn learn<'t>(
        &self,
        floor: Option<Floor>,
        read: impl Iterator<Item = (&'t [u8], Option<u64>)>,
    ) {
        let mut read = read
            .filter_map(|(tag, version)| Some((tag, version?)))
            .peekable();
        let clock = floor.map_or(0, |floor| floor.clock);
        if read.peek().is_none() {
            let state = self.state();
            if state.clock == clock && (clock == 0 || state.answers >= STEADY) {
                return;
            }
        }
        let mut state = self.state_mut();
        if state.clock != clock {
            // Answers may be taken out of their order: one from before is as true as any.
            state.versions.clear();
            state.clock = clock;
            state.answers = 0;
        }
        if clock == 0 {
            return;
        }
        state.answers = state.answers.saturating_add(1);
        for (tag, version) in read {
            if state.versions.len() >= MOST {
                state.versions.clear();
            }
            if let Some(known) = state.versions.get_mut(tag) {
                // At one time of the clock it changes only where it was lost and is made anew.
                *known = version;
            } else if let Ok(name) = std::str::from_utf8(tag) {
                state.versions.insert(Key::from(name), version);
            }
        }
    }

    /// Forgets all: another server may have another past.
    pub(super) fn forget(&self) {
        *self.state_mut() = State::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(clock: u64) -> Option<Floor> {
        Some(Floor { floor: 1, clock })
    }

    fn learn(latest: &Latest, clock: u64, read: &[(&str, Option<u64>)]) {
        let read = read.iter().map(|(tag, version)| (tag.as_bytes(), *version));
        latest.learn(floor(clock), read);
    }

    #[test]
    fn versions_hold_while_the_clock_stands_still() {
        let latest = Latest::default();
        learn(&latest, 7, &[("a", Some(3)), ("lost", None)]);
        learn(&latest, 7, &[("b", Some(7))]);
        assert_eq!(latest.at(7, b"a"), Some(Some(3)));
        assert_eq!(latest.at(7, b"b"), Some(Some(7)));
        assert_eq!(latest.at(7, b"lost"), None);
        assert_eq!(latest.at(8, b"a"), None);
        learn(&latest, 8, &[]);
        assert_eq!(latest.at(7, b"a"), None);
        assert_eq!(latest.at(8, b"a"), None);
        latest.learn(None, std::iter::empty());
        assert_eq!(latest.at(0, b"a"), None);
    }

    #[test]
    fn a_clock_is_relied_on_once_it_has_stood_for_some_answers() {
        let latest = Latest::default();
        for _ in 1..STEADY {
            learn(&latest, 7, &[("a", Some(3))]);
        }
        assert_eq!(latest.steady().version(&Key::from("a")), None);
        learn(&latest, 7, &[]);
        assert_eq!(latest.steady().version(&Key::from("a")), Some(3));
        assert_eq!(latest.steady().clock(), 7);
        learn(&latest, 8, &[("a", Some(8))]);
        assert_eq!(latest.steady().version(&Key::from("a")), None);
        latest.forget();
        assert_eq!(latest.at(8, b"a"), None);
    }

    #[test]
    fn is_bounded() {
        let latest = Latest::default();
        for n in 0..3 * MOST {
            learn(&latest, 7, &[(&n.to_string(), Some(1))]);
            assert!(latest.state().versions.len() <= MOST);
        }
    }
}
