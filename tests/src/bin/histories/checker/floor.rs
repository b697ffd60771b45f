//! The least that a read may return, by the time at which it began.

use std::collections::VecDeque;

use crate::clock::Moment;

/// What raised a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A writer, or the invalidation of a later one, has returned, which told the backend at this moment or later.
    Return { since: Moment },
    /// A commit, known to its writer.
    Commit,
    /// A read that returned it.
    Read { session: u64 },
    /// The writer was killed after its commit.
    Killed,
    /// The database, while no write was under way.
    Row,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raise {
    pub(super) at: Moment,
    pub(super) version: u64,
    pub(super) source: Source,
}

/// A floor that only rises.
#[derive(Debug, Default)]
pub(super) struct Floor {
    /// In the order of their times, each with the highest version until then.
    raises: VecDeque<(Raise, u64)>,
    /// What was forgotten had no higher one.
    forgotten: u64,
    forgotten_until: Moment,
}

impl Floor {
    pub(super) fn raise(&mut self, raise: Raise) {
        if matches!(raise.source, Source::Read { .. } | Source::Commit)
            && raise.version <= self.highest()
        {
            return;
        }
        let place = self
            .raises
            .partition_point(|(other, _)| other.at <= raise.at);
        let mut highest = match place.checked_sub(1) {
            Some(before) => self.raises[before].1,
            None => self.forgotten,
        };
        self.raises.insert(place, (raise, 0));
        for (raise, until) in self.raises.range_mut(place..) {
            highest = highest.max(raise.version);
            *until = highest;
        }
    }

    pub(super) fn highest(&self) -> u64 {
        self.raises
            .back()
            .map_or(self.forgotten, |&(_, highest)| highest)
    }

    /// What it was at that time; `None` if that was forgotten.
    pub(super) fn at(&self, time: Moment) -> Option<u64> {
        if time < self.forgotten_until {
            return None;
        }
        let place = self.raises.partition_point(|(raise, _)| raise.at <= time);
        Some(match place.checked_sub(1) {
            Some(last) => self.raises[last].1,
            None => self.forgotten,
        })
    }

    /// What had raised it above this version by that time.
    pub(super) fn raises_above(&self, version: u64, time: Moment) -> Vec<Raise> {
        let until = self.raises.iter().map(|&(raise, _)| raise);
        until
            .take_while(|raise| raise.at <= time)
            .filter(|raise| raise.version > version)
            .collect()
    }

    pub(super) fn forget(&mut self, before: Moment) {
        while let Some(&(raise, highest)) = self.raises.front() {
            if raise.at >= before {
                break;
            }
            self.forgotten = highest;
            self.raises.pop_front();
        }
        self.forgotten_until = before.max(self.forgotten_until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(raises: &[(u64, u64)]) -> Floor {
        let mut floor = Floor::default();
        for &(at, version) in raises {
            floor.raise(Raise {
                at: Moment(at),
                version,
                source: Source::Row,
            });
        }
        floor
    }

    #[test]
    fn it_is_what_was_highest_until_then() {
        let mut floor = floor(&[(10, 1), (30, 3), (20, 2), (25, 5), (40, 4)]);
        let at = |floor: &Floor, time| floor.at(Moment(time));
        for (time, version) in [(9, 0), (10, 1), (19, 1), (20, 2), (25, 5), (100, 5)] {
            assert_eq!(at(&floor, time), Some(version), "{time}");
        }
        let above = floor.raises_above(2, Moment(30));
        let times: Vec<_> = above.iter().map(|raise| raise.at.0).collect();
        assert_eq!(times, [25, 30]);
        floor.forget(Moment(22));
        assert_eq!(at(&floor, 21), None);
        assert_eq!(at(&floor, 22), Some(2));
        assert_eq!(at(&floor, 50), Some(5));
    }
}
