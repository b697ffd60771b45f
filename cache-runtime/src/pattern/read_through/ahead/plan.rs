//! Which entries are watched, and which is due next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::clock::Moment;
use crate::key::Key;
use crate::spec::Spec;

/// So many entries are watched. Those beyond are replaced by the first call that finds them past their soft TTL.
const MOST: usize = 100_000;

/// What is known of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    pub(super) spec: &'static Spec,
    /// When it was loaded, by the cheap clock.
    pub(super) loaded: Moment,
    pub(super) due: Moment,
    pub(super) expires: Moment,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Due {
    Now(Key, Watched),
    At(Moment),
    Never,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    entries: HashMap<Key, Entry>,
    /// By the time at which they are looked at. One that its entry does not name any more is passed over.
    queue: BinaryHeap<Reverse<(Moment, Key)>>,
}

#[derive(Debug)]
struct Entry {
    watched: Watched,
    /// Where it stands in the queue; `None` while it is being replaced.
    queued: Option<Moment>,
}

impl Plan {
    pub(super) fn knows(&self, key: &Key) -> bool {
        self.entries.contains_key(key)
    }

    /// Watches an entry that has just been stored; whether it is the next one.
    pub(super) fn watch(&mut self, key: &Key, watched: Watched) -> bool {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.watched = watched;
            // One that is due later than it was stays where it is in the queue, and is put back when its turn comes.
            if entry.queued.is_some_and(|queued| queued <= watched.due) {
                return false;
            }
        } else if self.entries.len() >= MOST {
            return false;
        }
        self.enqueue(key, watched)
    }

    /// Goes on watching an entry that was being replaced, unless it has been stored meanwhile; whether it is the next one.
    pub(super) fn go_on(&mut self, key: &Key, watched: Watched) -> bool {
        match self.entries.get(key) {
            Some(entry) if entry.queued.is_none() => {
                if watched.due >= watched.expires {
                    self.entries.remove(key);
                    return false;
                }
                self.enqueue(key, watched)
            }
            _ => false,
        }
    }

    /// Forgets an entry that was being replaced, unless it has been stored meanwhile.
    pub(super) fn forget(&mut self, key: &Key) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.queued.is_none())
        {
            self.entries.remove(key);
        }
    }

    fn enqueue(&mut self, key: &Key, watched: Watched) -> bool {
        let queued = Some(watched.due);
        self.entries.insert(key.clone(), Entry { watched, queued });
        self.queue.push(Reverse((watched.due, key.clone())));
        if self.queue.len() > 2 * self.entries.len() + 64 {
            self.sweep();
        }
        let first = self.queue.peek();
        first.is_some_and(|Reverse((first, _))| *first >= watched.due)
    }

    /// Drops what is passed over anyway.
    fn sweep(&mut self) {
        let entries = &self.entries;
        self.queue.retain(|Reverse((at, key))| {
            entries
                .get(key)
                .is_some_and(|entry| entry.queued == Some(*at))
        });
    }

    /// Takes the first entry that is due and was read since it was loaded; those that were not are forgotten.
    pub(super) fn next(
        &mut self,
        now: Moment,
        was_read_since: impl Fn(&Key, Moment) -> bool,
    ) -> Due {
        while let Some(Reverse((at, key))) = self.queue.pop() {
            let Some(entry) = self
                .entries
                .get_mut(&key)
                .filter(|entry| entry.queued == Some(at))
            else {
                continue;
            };
            if at > now {
                self.queue.push(Reverse((at, key)));
                return Due::At(at);
            }
            let watched = entry.watched;
            if watched.due > now {
                entry.queued = Some(watched.due);
                self.queue.push(Reverse((watched.due, key)));
            } else if was_read_since(&key, watched.loaded) {
                entry.queued = None;
                return Due::Now(key, watched);
            } else {
                self.entries.remove(&key);
            }
        }
        Due::Never
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;

    static SPEC: Spec = Spec::new("f", "m", "f.rs", 1, "f:<id>");

    /// The time so many seconds from the clock's beginning.
    fn at(second: u64) -> Moment {
        let clock = Clock::from(crate::clock::ManualClock::new());
        clock.now().after(Duration::from_secs(second))
    }

    fn due(second: u64) -> Watched {
        Watched {
            spec: &SPEC,
            loaded: at(0),
            due: at(second),
            expires: at(1000),
        }
    }

    fn key(number: usize) -> Key {
        Key::from(format!("f:{number}"))
    }

    #[test]
    fn entries_come_when_they_are_due_and_once() {
        let mut plan = Plan::default();
        assert!(plan.watch(&key(1), due(20)));
        assert!(plan.watch(&key(2), due(10)));
        // Stored again meanwhile: later, and earlier.
        assert!(!plan.watch(&key(2), due(30)));
        assert!(plan.watch(&key(1), due(5)));
        let mut next = |second| plan.next(at(second), |_, _| true);
        assert!(matches!(next(4), Due::At(moment) if moment == at(5)));
        assert!(matches!(next(5), Due::Now(due, _) if due == key(1)));
        assert!(matches!(next(29), Due::At(moment) if moment == at(30)));
        assert!(matches!(next(30), Due::Now(due, _) if due == key(2)));
        assert!(matches!(next(1000), Due::Never));
    }

    #[test]
    fn an_entry_goes_on_unless_it_was_stored_or_has_expired() {
        let mut plan = Plan::default();
        let replace = |plan: &mut Plan| {
            plan.watch(&key(1), due(1));
            assert!(matches!(plan.next(at(1), |_, _| true), Due::Now(..)));
        };
        replace(&mut plan);
        plan.watch(&key(1), due(7));
        assert!(!plan.go_on(&key(1), due(2)));
        plan.forget(&key(1));
        assert!(matches!(plan.next(at(1), |_, _| true), Due::At(moment) if moment == at(7)));
        replace(&mut plan);
        assert!(plan.go_on(&key(1), due(3)));
        assert!(matches!(plan.next(at(3), |_, _| true), Due::Now(..)));
        assert!(!plan.go_on(&key(1), due(1000)));
        assert!(!plan.knows(&key(1)));
    }

    #[test]
    fn neither_the_entries_nor_the_queue_grow_for_ever() {
        let mut plan = Plan::default();
        for number in 0..MOST + 10 {
            plan.watch(&key(number), due(900));
        }
        assert_eq!(plan.entries.len(), MOST);
        let mut plan = Plan::default();
        for second in (1..900).rev() {
            plan.watch(&key(1), due(second));
        }
        assert!(plan.queue.len() <= 66, "{}", plan.queue.len());
    }
}
