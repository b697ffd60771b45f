//! How invalidations reach other regions: the contract between the cache and what carries them.
//!
//! A region is a part of a system with a store of its own: a Redis server near its processes, or the memory of one process. What a region
//! invalidates it tells the others of by **events** on a bus, and each of them removes the same from its own store. Give the cache a bus with
//! [`CacheBuilder::bus`](crate::CacheBuilder::bus).
//!
//! On the bus the events are a row of which every region reads all. The processes that share a store form one [`Group`]: each event goes to one of them, and
//! is its own until it has been acknowledged, which is after the invalidation was carried out. What a process has read and not acknowledged, because it
//! was killed, another of the group takes over. Events are done at least once, and in any order: an invalidation can be repeated.
//!
//! [`MemoryBus`] is for tests, [`RedisBus`] for everything else; your own implements [`Bus`] and runs the cases of
//! `testing::conformance::bus_cases` (feature `testing`).

mod event;
mod memory;
mod wire;

use std::fmt;
use std::time::Duration;

pub use self::event::{Event, Group, What};
pub use self::memory::MemoryBus;
#[cfg(feature = "redis")]
pub use crate::backend::redis::{RedisBus, RedisBusBuilder};
use crate::backend::{BackendFuture, Token};

/// The place of an event in the row. Later events have greater ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The time of the bus at which it was published, in milliseconds.
    pub millis: u64,
    /// The number among those of that millisecond.
    pub number: u64,
}

/// An event as a group gets it.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// What it is acknowledged by.
    pub position: Position,
    /// How long ago it was published, by the clock of the bus.
    pub age: Duration,
    /// `None` if it cannot be read: of a later version, or somebody else's. Nobody knows what it would have invalidated.
    pub event: Option<Event>,
}

/// What [`Bus::publish`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The events are in the row, now or since an earlier call that was not heard of.
    Done,
    /// The bus does not have what this sender published before: it was restarted without its data, or failed over to a copy that was behind.
    /// Nothing was published. Events that were acknowledged may never be read.
    Forgotten,
}

/// Which events [`Bus::read`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Those that no process of the group has been given.
    New,
    /// Those that this process was given and has not acknowledged: after an error the answer to a read may have been lost.
    Again,
}

/// What a group has before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events that it has not been given, or has not acknowledged. A bus that would have to count them may stop at 1,000.
    pub events: u64,
    /// The age of the oldest of them.
    pub oldest: Duration,
}

/// How long events and groups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// A group that has not acknowledged an event of this age is lost.
    pub age: Duration,
    /// While the row has more events than this, the group that is furthest behind is lost.
    pub events: u64,
    /// The group of a single process that has not joined again for so long is lost. Those of regions are kept.
    pub silence: Duration,
    /// Whoever asks sooner than this after another gets no answer: one process trims for all.
    pub every: Duration,
}

/// Carries events between regions.
///
/// # Contract
///
/// * Every group that has joined is given each event that is published after that, its own too, until it acknowledges it or is lost.
/// * An event is given to one process of the group at a time. It may be given again after it was acknowledged, never be left out.
/// * Operations may wait for the bus without end: the caller bounds them in time and drops them. A dropped operation may or may not have taken effect.
/// * No operation panics on what it finds on the bus.
pub trait Bus: Send + Sync + fmt::Debug + 'static {
    /// A short name for statistics and logs, without secrets.
    fn name(&self) -> &'static str;

    /// The namespace of its events, if it has one. Processes that share it and a region's name are given each other's events, so it has to be that of their
    /// store: [`build`](crate::CacheBuilder::build) refuses another where it knows.
    fn namespace(&self) -> Option<&str> {
        None
    }

    /// Appends the events, all of them or none. `number` counts the sender's batches, from 1; the first is not compared with anything.
    ///
    /// Called again with the same number it appends nothing: the first call was carried out, but not heard of. Without events it is the question
    /// whether the batch of that number is the last that the bus knows of: a sender asks it from time to time.
    fn publish<'a>(
        &'a self,
        sender: Token,
        number: u64,
        events: &'a [Event],
    ) -> BackendFuture<'a, Published>;

    /// Makes the group, if there is none of this name: it will be given what is published from now on. What was published before it will not be
    /// given, so it owes a flush.
    ///
    /// A process of the group calls it again from time to time: the group of a single process is lost when it has not for [`Retention::silence`].
    ///
    /// The answer names the flush that it owes, or `None`. The group owes it, not the caller: until [`flushed`](Self::flushed) every
    /// process of the group is told of it.
    fn join<'a>(&'a self, group: &'a Group) -> BackendFuture<'a, Option<Token>>;

    /// A flush of the group that began after [`join`](Self::join) told of it is done.
    fn flushed<'a>(&'a self, group: &'a Group, flush: Token) -> BackendFuture<'a, ()>;

    /// Gives at most so many events to the process. Where there is none it waits for some, as long as `wait` at most, and then answers with none.
    /// `None`: the group is gone, and has to [`join`](Self::join) again.
    fn read<'a>(
        &'a self,
        group: &'a Group,
        process: Token,
        read: Read,
        most: usize,
        wait: Duration,
    ) -> BackendFuture<'a, Option<Vec<Delivered>>>;

    /// Gives to the process at most so many events that were given to one of its group at least `idle` ago, and have not been acknowledged.
    fn claim<'a>(
        &'a self,
        group: &'a Group,
        process: Token,
        idle: Duration,
        most: usize,
    ) -> BackendFuture<'a, Vec<Delivered>>;

    /// The group is done with these, whichever of its processes they were given to.
    fn acknowledge<'a>(
        &'a self,
        group: &'a Group,
        positions: &'a [Position],
    ) -> BackendFuture<'a, ()>;

    /// Removes the events that every group has acknowledged, and nothing that any of them has not; removes the groups that are lost, before that and in the same step.
    /// Answers which groups were lost.
    fn trim(&self, retention: Retention) -> BackendFuture<'_, Vec<String>>;

    /// What the group has before it. `None`: the group is gone.
    fn backlog<'a>(&'a self, group: &'a Group) -> BackendFuture<'a, Option<Backlog>>;

    /// The process ends. What it has not acknowledged others take over; a group that is of this process alone ends with it.
    fn leave<'a>(&'a self, group: &'a Group, process: Token) -> BackendFuture<'a, ()>;
}
