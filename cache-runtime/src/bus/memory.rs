//! A bus in this process, for tests.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Backlog, Bus, Delivered, Event, Group, Position, Published, Read, Retention};
use crate::backend::{BackendFuture, Token};
use crate::clock::{Clock, Moment};
use crate::race;

/// A bus in the memory of this process. Clones of it are the same bus: give one to each cache of a test, and each is a region.
///
/// ```
/// use cache_runtime::{Cache, bus::MemoryBus, cached, invalidates};
///
/// #[cached(key = "square:<n>")]
/// async fn square(n: u64) -> u64 { n * n }
///
/// #[invalidates("square:<n>")]
/// async fn change(n: u64) {}
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cache_runtime::Error> {
/// let bus = MemoryBus::new();
/// let here = Cache::builder().bus(bus.clone(), "here")?.build().await?;
/// let there = Cache::builder().bus(bus, "there")?.build().await?;
/// there.scope(square(7)).await;
/// here.scope(change(7)).await;
/// while there.stats().bus.is_some_and(|bus| bus.applied == 0) {
///     tokio::task::yield_now().await;
/// }
/// there.scope(square(7)).await;
/// assert_eq!(there.stats().function(square::SPEC).loads, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryBus(Arc<Shared>);

#[derive(Default)]
struct Shared {
    clock: Clock,
    row: Mutex<Row>,
    appended: Notify,
}

#[derive(Default)]
struct Row {
    events: BTreeMap<Position, Event>,
    last: Option<Position>,
    began: Option<Moment>,
    groups: HashMap<String, Members>,
    /// The last batch of each sender.
    senders: HashMap<Token, u64>,
    trimmed: Option<Moment>,
}

/// What a group has been given.
struct Members {
    through: Option<Position>,
    given: BTreeMap<Position, Given>,
    owes: Option<Token>,
    heard: Moment,
}

struct Given {
    to: Token,
    at: Moment,
}

impl Members {
    /// The first event that it has not acknowledged.
    fn first<'a>(
        &self,
        events: &'a BTreeMap<Position, Event>,
    ) -> Option<(&'a Position, &'a Event)> {
        match self.given.first_key_value() {
            Some((first, _)) => events.range(first..).next(),
            None => self.not_given(events).next(),
        }
    }

    fn not_given<'a>(
        &self,
        events: &'a BTreeMap<Position, Event>,
    ) -> impl Iterator<Item = (&'a Position, &'a Event)> + use<'a> {
        let after = self.through.map_or(Bound::Unbounded, Bound::Excluded);
        events.range((after, Bound::Unbounded))
    }

    fn give(
        &mut self,
        events: &BTreeMap<Position, Event>,
        positions: Vec<Position>,
        to: Token,
        (began, now): (Moment, Moment),
    ) -> Vec<Delivered> {
        let give = |position: Position| {
            self.given.insert(position, Given { to, at: now });
            Delivered {
                position,
                age: age_of(began, now, position),
                event: events.get(&position).cloned(),
            }
        };
        positions.into_iter().map(give).collect()
    }
}

impl MemoryBus {
    /// A bus of this process's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A bus by a clock that a test moves.
    #[must_use]
    pub fn with_clock(clock: impl Into<Clock>) -> Self {
        Self(Arc::new(Shared {
            clock: clock.into(),
            ..Shared::default()
        }))
    }

    /// How many events are in the row.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.row().events.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loses all events, groups and what it knows of senders, as a server does that is restarted without its data.
    pub fn forget(&self) {
        let mut row = self.0.row();
        let began = row.began;
        *row = Row {
            began,
            ..Row::default()
        };
        drop(row);
        self.0.appended.notify_waiters();
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.0.row();
        f.debug_struct("MemoryBus")
            .field("events", &row.events.len())
            .field("groups", &row.groups.keys())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, sender: Token, number: u64, events: &[Event]) -> Published {
        let now = self.clock.now();
        let mut row = self.row();
        let known = row.senders.get(&sender).copied().unwrap_or_default();
        if known == number {
            return Published::Done;
        }
        if events.is_empty() || (number > 1 && known != number - 1) {
            return Published::Forgotten;
        }
        for event in events {
            let position = row.next(now);
            row.events.insert(position, event.clone());
        }
        row.senders.insert(sender, number);
        drop(row);
        self.appended.notify_waiters();
        Published::Done
    }

    /// What there is now; `None`: no group.
    fn take(
        &self,
        group: &Group,
        process: Token,
        read: Read,
        most: usize,
    ) -> Option<Vec<Delivered>> {
        let now = self.clock.now();
        let row = &mut *self.row();
        let began = row.began(now);
        let members = row.groups.get_mut(group.as_str())?;
        let positions: Vec<Position> = match read {
            Read::New => {
                let next = members.not_given(&row.events).take(most);
                next.map(|(position, _)| *position).collect()
            }
            Read::Again => {
                let given = members.given.iter();
                let own = given.filter(|(_, given)| given.to == process);
                own.map(|(position, _)| *position).take(most).collect()
            }
        };
        if let (Read::New, Some(last)) = (read, positions.last()) {
            members.through = Some(*last);
        }
        Some(members.give(&row.events, positions, process, (began, now)))
    }

    fn claim(&self, group: &Group, process: Token, idle: Duration, most: usize) -> Vec<Delivered> {
        let now = self.clock.now();
        let row = &mut *self.row();
        let began = row.began(now);
        let Some(members) = row.groups.get_mut(group.as_str()) else {
            return Vec::new();
        };
        let given = members.given.iter();
        let left = given.filter(|(_, given)| now.since(given.at) >= idle);
        let positions = left.map(|(position, _)| *position).take(most).collect();
        members.give(&row.events, positions, process, (began, now))
    }

    fn trim(&self, retention: Retention) -> Vec<String> {
        let now = self.clock.now();
        let row = &mut *self.row();
        let is_early = |last| now.since(last) < retention.every;
        if row.trimmed.is_some_and(is_early) {
            return Vec::new();
        }
        row.trimmed = Some(now);
        let mut lost = row.lose(|row, name, members| {
            let is_of_process = Group::named(name).is_of_process();
            (is_of_process && now.since(members.heard) > retention.silence)
                || members
                    .first(&row.events)
                    .is_some_and(|(first, _)| row.age(now, *first) > retention.age)
        });
        row.remove_acknowledged();
        while row.events.len() as u64 > retention.events
            && let Some(furthest) = row.furthest()
        {
            lost.extend(row.lose(|_, name, _| name == furthest));
            row.remove_acknowledged();
        }
        lost
    }
}

fn age_of(began: Moment, now: Moment, position: Position) -> Duration {
    now.since(began)
        .saturating_sub(Duration::from_millis(position.millis))
}

impl Row {
    fn began(&mut self, now: Moment) -> Moment {
        *self.began.get_or_insert(now)
    }

    fn age(&self, now: Moment, position: Position) -> Duration {
        age_of(self.began.unwrap_or(now), now, position)
    }

    fn next(&mut self, now: Moment) -> Position {
        let began = self.began(now);
        let millis = u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX);
        let next = match self.last {
            Some(last) if last.millis >= millis => Position {
                millis: last.millis,
                number: last.number + 1,
            },
            _ => Position { millis, number: 0 },
        };
        self.last = Some(next);
        next
    }

    fn lose(&mut self, is_lost: impl Fn(&Self, &str, &Members) -> bool) -> Vec<String> {
        let lost = self.groups.iter();
        let lost = lost.filter(|(name, members)| is_lost(self, name, members));
        let lost: Vec<String> = lost.map(|(name, _)| name.clone()).collect();
        for name in &lost {
            self.groups.remove(name);
        }
        lost
    }

    fn remove_acknowledged(&mut self) {
        let kept = self.groups.values();
        let first = kept.filter_map(|members| Some(*members.first(&self.events)?.0));
        match first.min() {
            Some(first) => self.events = self.events.split_off(&first),
            None => self.events.clear(),
        }
    }

    /// The group whose first event that it has not acknowledged is the oldest.
    fn furthest(&self) -> Option<String> {
        let behind = self.groups.iter().filter_map(|(name, members)| {
            let (first, _) = members.first(&self.events)?;
            Some((*first, name.clone()))
        });
        behind.min().map(|(_, name)| name)
    }
}

impl Bus for MemoryBus {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn publish<'a>(
        &'a self,
        sender: Token,
        number: u64,
        events: &'a [Event],
    ) -> BackendFuture<'a, Published> {
        Box::pin(async move { Ok(self.0.publish(sender, number, events)) })
    }

    fn join<'a>(&'a self, group: &'a Group) -> BackendFuture<'a, Option<Token>> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let row = &mut *self.0.row();
            let members = row.groups.entry(group.as_str().to_owned());
            let members = members.or_insert_with(|| Members {
                through: row.last,
                given: BTreeMap::new(),
                owes: Some(Token::fresh()),
                heard: now,
            });
            members.heard = now;
            Ok(members.owes)
        })
    }

    fn flushed<'a>(&'a self, group: &'a Group, flush: Token) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            if let Some(members) = self.0.row().groups.get_mut(group.as_str()) {
                members.owes = members.owes.filter(|&owed| owed != flush);
            }
            Ok(())
        })
    }

    fn read<'a>(
        &'a self,
        group: &'a Group,
        process: Token,
        read: Read,
        most: usize,
        wait: Duration,
    ) -> BackendFuture<'a, Option<Vec<Delivered>>> {
        Box::pin(async move {
            // However a test moves the clock of the bus: who waits here does other things too.
            let mut over = pin!(tokio::time::sleep(wait));
            loop {
                // In line before the look: what is appended after it is not missed.
                let mut appended = pin!(self.0.appended.notified());
                appended.as_mut().enable();
                let taken = self.0.take(group, process, read, most);
                let is_empty = taken.as_ref().is_some_and(Vec::is_empty);
                if !is_empty || read == Read::Again {
                    return Ok(taken);
                }
                if race::within(appended, over.as_mut()).await.is_none() {
                    return Ok(self.0.take(group, process, read, most));
                }
            }
        })
    }

    fn claim<'a>(
        &'a self,
        group: &'a Group,
        process: Token,
        idle: Duration,
        most: usize,
    ) -> BackendFuture<'a, Vec<Delivered>> {
        Box::pin(async move { Ok(self.0.claim(group, process, idle, most)) })
    }

    fn acknowledge<'a>(
        &'a self,
        group: &'a Group,
        positions: &'a [Position],
    ) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            if let Some(members) = self.0.row().groups.get_mut(group.as_str()) {
                for position in positions {
                    members.given.remove(position);
                }
            }
            Ok(())
        })
    }

    fn trim(&self, retention: Retention) -> BackendFuture<'_, Vec<String>> {
        Box::pin(async move { Ok(self.0.trim(retention)) })
    }

    fn backlog<'a>(&'a self, group: &'a Group) -> BackendFuture<'a, Option<Backlog>> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let row = self.0.row();
            let backlog = row.groups.get(group.as_str()).map(|members| Backlog {
                events: (members.given.len() + members.not_given(&row.events).count()) as u64,
                oldest: members
                    .first(&row.events)
                    .map_or(Duration::ZERO, |(first, _)| row.age(now, *first)),
            });
            Ok(backlog)
        })
    }

    fn leave<'a>(&'a self, group: &'a Group, _: Token) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            if group.is_of_process() {
                self.0.row().groups.remove(group.as_str());
            }
            Ok(())
        })
    }
}
