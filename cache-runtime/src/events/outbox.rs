//! What waits to be published.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::bus::{Event, Group, What};
use crate::clock::Moment;
use crate::key::Key;

/// An event has at most so many keys, and so many bytes of them but for a first key that is longer.
const MOST_KEYS: usize = 256;
const MOST_BYTES: usize = 32 << 10;

/// So many events are published at once.
const MOST_EVENTS: usize = 64;

/// Something to be told.
#[derive(Debug, Clone, Copy)]
pub(super) enum News<'a> {
    Keys(&'a [Key]),
    Tags(&'a [Key]),
    Everything,
}

/// A key or a tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    is_tag: bool,
    key: Key,
}

/// A bounded row of keys and tags, each there once. Past its bound they become "everything": an event more costs hits, one too few would cost the truth.
#[derive(Debug)]
pub(super) struct Outbox {
    bound: usize,
    row: Mutex<Row>,
    news: Notify,
    /// All numbers below this one have been published.
    published: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Row {
    next: u64,
    names: BTreeMap<u64, (Name, Waiting)>,
    /// The numbers of those in the row.
    numbers: HashMap<Name, u64>,
    everything: Option<(u64, Waiting)>,
    /// How many of the keys and tags taken have not been published; "everything" is one.
    taken: u64,
    overflows: u64,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    since: Moment,
    is_for_origin: bool,
}

/// What is to be published in one step.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
}

impl Outbox {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            row: Mutex::default(),
            news: Notify::new(),
            published: watch::Sender::new(0),
        }
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, news: News<'_>, is_for_origin: bool, now: Moment) {
        let waiting = Waiting {
            since: now,
            is_for_origin,
        };
        let mut row = self.row();
        match news {
            News::Keys([]) | News::Tags([]) => return,
            News::Keys(keys) => row.put(keys, false, waiting),
            News::Tags(tags) => row.put(tags, true, waiting),
            News::Everything => row.all_at_once(waiting),
        }
        if row.names.len() > self.bound {
            tracing::error!(
                bound = self.bound,
                "too many invalidations wait for the bus: other regions will invalidate their namespace"
            );
            row.overflows += 1;
            row.all_at_once(waiting);
        }
        drop(row);
        self.news.notify_one();
    }

    /// Returns when there may be something new.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Takes out what is to be published next. It counts as waiting until [`published`](Self::published).
    pub(super) fn take(&self, origin: &Group, now: Moment) -> Option<Batch> {
        let mut row = self.row();
        let mut events = Vec::new();
        if let Some((_, waiting)) = row.everything.take() {
            row.taken += 1;
            events.push(event(origin, waiting, now, What::Everything));
        }
        while events.len() < MOST_EVENTS
            && let Some((names, waiting, what)) = row.take_names()
        {
            row.taken += names;
            events.push(event(origin, waiting, now, what));
        }
        (!events.is_empty()).then_some(Batch { events })
    }

    /// What was taken has been published.
    pub(super) fn published(&self) {
        let mut row = self.row();
        row.taken = 0;
        let first = row.first();
        drop(row);
        self.published.send_replace(first);
    }

    /// Returns when all that is in it now has been published.
    pub(super) async fn drained(&self) {
        let end = self.row().next;
        let mut published = self.published.subscribe();
        // Errs when the sender is gone, and `self` holds it.
        let _ = published.wait_for(|published| *published >= end).await;
    }

    /// How many keys and tags wait; "everything" is one.
    pub(super) fn len(&self) -> u64 {
        let row = self.row();
        row.names.len() as u64 + u64::from(row.everything.is_some()) + row.taken
    }

    pub(super) fn overflows(&self) -> u64 {
        self.row().overflows
    }
}

fn event(origin: &Group, waiting: Waiting, now: Moment, what: What) -> Event {
    Event {
        origin: origin.clone(),
        is_for_origin: waiting.is_for_origin,
        waited: now.since(waiting.since),
        what,
    }
}

impl Row {
    fn put(&mut self, keys: &[Key], is_tag: bool, waiting: Waiting) {
        for key in keys {
            let key = key.clone();
            self.put_name(Name { is_tag, key }, waiting);
        }
    }

    fn put_name(&mut self, name: Name, waiting: Waiting) {
        let number = self.next;
        self.next += 1;
        if let Some((_, everything)) = &mut self.everything {
            // It has not been published: it will be later than this.
            everything.is_for_origin |= waiting.is_for_origin;
            return;
        }
        if let Some(number) = self.numbers.get(&name) {
            if let Some((_, there)) = self.names.get_mut(number) {
                there.is_for_origin |= waiting.is_for_origin;
            }
            return;
        }
        self.numbers.insert(name.clone(), number);
        self.names.insert(number, (name, waiting));
    }

    /// Makes "everything" of all that is in the row, in the place of the first of it.
    fn all_at_once(&mut self, waiting: Waiting) {
        let number = self.first();
        self.next += 1;
        let mut all = self.everything.map_or(waiting, |(_, there)| there);
        for (_, there) in self.names.values() {
            all.since = all.since.min(there.since);
            all.is_for_origin |= there.is_for_origin;
        }
        all.is_for_origin |= waiting.is_for_origin;
        self.names.clear();
        self.numbers = HashMap::new();
        self.everything = Some((number, all));
    }

    /// The first number in the row; the next one, if the row is empty.
    fn first(&self) -> u64 {
        let name = self.names.first_key_value().map(|(number, _)| *number);
        let everything = self.everything.map(|(number, _)| number);
        name.into_iter()
            .chain(everything)
            .min()
            .unwrap_or(self.next)
    }

    /// The next names that make an event, and how many they are: tags, and those for the origin too, are events of their own.
    fn take_names(&mut self) -> Option<(u64, Waiting, What)> {
        let (mut keys, mut bytes) = (Vec::new(), 0);
        let (_, (first, waiting)) = self.names.first_key_value()?;
        let (is_tag, first) = (first.is_tag, *waiting);
        while let Some(next) = self.names.first_entry() {
            let (name, waiting) = next.get();
            bytes += name.key.as_bytes().len();
            let is_full = keys.len() == MOST_KEYS || (bytes > MOST_BYTES && !keys.is_empty());
            let is_like = name.is_tag == is_tag && waiting.is_for_origin == first.is_for_origin;
            if is_full || !is_like {
                break;
            }
            let (name, _) = next.remove();
            self.numbers.remove(&name);
            keys.push(name.key);
        }
        let what = if is_tag { What::Tags } else { What::Keys };
        Some((keys.len() as u64, first, what(keys)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use std::time::Duration;

    fn origin() -> Group {
        Group::of_region("here").expect("a good name")
    }

    fn now() -> Moment {
        Clock::from(ManualClock::new()).now()
    }

    fn put(outbox: &Outbox, keys: &[&str]) {
        let keys: Vec<Key> = keys.iter().copied().map(Key::from).collect();
        outbox.put(News::Keys(&keys), false, now());
    }

    fn whats(batch: Option<Batch>) -> Vec<What> {
        let events = batch.map(|batch| batch.events).unwrap_or_default();
        events.into_iter().map(|event| event.what).collect()
    }

    fn keys(names: &[&str]) -> What {
        What::Keys(names.iter().copied().map(Key::from).collect())
    }

    #[test]
    fn a_key_is_there_once_until_it_is_taken() {
        let outbox = Outbox::new(10);
        put(&outbox, &["a", "b"]);
        put(&outbox, &["a"]);
        assert_eq!(outbox.len(), 2);
        assert_eq!(whats(outbox.take(&origin(), now())), [keys(&["a", "b"])]);
        put(&outbox, &["a"]);
        assert_eq!(outbox.len(), 3);
        outbox.published();
        assert_eq!(whats(outbox.take(&origin(), now())), [keys(&["a"])]);
        outbox.published();
        assert_eq!(outbox.len(), 0);
        assert!(outbox.take(&origin(), now()).is_none());
    }

    #[test]
    fn past_its_bound_it_is_everything() {
        let outbox = Outbox::new(2);
        put(&outbox, &["a", "b"]);
        outbox.put(News::Keys(&["c".into()]), true, now());
        put(&outbox, &["d"]);
        assert_eq!((outbox.len(), outbox.overflows()), (1, 1));
        let batch = outbox.take(&origin(), now()).expect("a batch");
        assert_eq!(batch.events.len(), 1);
        assert_eq!(batch.events[0].what, What::Everything);
        assert!(batch.events[0].is_for_origin);
        assert_eq!(outbox.len(), 1, "it is on its way");
        outbox.published();
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn keys_for_the_origin_are_an_event_of_their_own() {
        let outbox = Outbox::new(10);
        put(&outbox, &["a"]);
        outbox.put(News::Keys(&["b".into()]), true, now());
        outbox.put(News::Keys(&["a".into()]), false, now());
        put(&outbox, &["c"]);
        let batch = outbox.take(&origin(), now()).expect("a batch");
        let flags: Vec<_> = batch
            .events
            .iter()
            .map(|event| event.is_for_origin)
            .collect();
        assert_eq!(flags, [false, true, false]);
    }

    #[test]
    fn an_event_is_bounded() {
        let outbox = Outbox::new(1000);
        let names: Vec<String> = (0..300).map(|n| format!("k{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        put(&outbox, &names);
        let long = "l".repeat(MOST_BYTES);
        put(&outbox, &[&long, "m"]);
        let lengths: Vec<_> = whats(outbox.take(&origin(), now()))
            .into_iter()
            .map(|what| match what {
                What::Keys(keys) => keys.len(),
                _ => 0,
            })
            .collect();
        assert_eq!(lengths, [256, 44, 1, 1]);
    }

    #[tokio::test]
    async fn it_is_drained_when_what_was_there_is_published() {
        let outbox = Outbox::new(2);
        outbox.drained().await;
        put(&outbox, &["a"]);
        let is_drained = async || {
            let drained = tokio::time::timeout(Duration::ZERO, outbox.drained());
            drained.await.is_ok()
        };
        assert!(!is_drained().await);
        outbox.take(&origin(), now());
        assert!(!is_drained().await);
        // What comes after the call is not waited for, and what becomes "everything" is.
        put(&outbox, &["b"]);
        outbox.published();
        assert!(!is_drained().await);
        put(&outbox, &["c", "d"]);
        assert!(!is_drained().await);
        outbox.take(&origin(), now());
        outbox.published();
        assert!(is_drained().await);
    }
}
