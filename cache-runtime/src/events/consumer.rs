//! Reads the events of other regions and carries them out.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::{Absence, Pauses, Shared, Told};
use crate::bus::{Delivered, Position, Read, What};
use crate::cache::Inner;
use crate::error::BackendError;
use crate::invalidation::Keys;
use crate::mutants::{self, Mutant};
use crate::pattern::write_behind::writer::panicked;
use crate::race;

/// So many events are read at once.
const MOST: usize = 64;

/// How often an invalidation is tried again while the region's own store is away.
const STORE_AWAY: Duration = Duration::from_millis(100);

/// Why a round came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    Bus(BackendError),
    /// The store of the region is away: what was read stays unacknowledged.
    Store(BackendError),
    /// Something of the bus or of the store panicked.
    Panic(String),
    /// The cache is gone.
    Gone,
}

impl From<BackendError> for Trouble {
    fn from(error: BackendError) -> Self {
        Self::Bus(error)
    }
}

/// The one consumer of a process. It holds the cache weakly, and ends with it.
#[derive(Debug)]
pub(super) struct Consumer {
    shared: Arc<Shared>,
    cache: Weak<Inner>,
    /// Whether its group is there, for all that it knows.
    has_joined: bool,
    /// What it was given before an error has to be asked for again.
    read: Read,
    /// When it looks after the bus again.
    look_at: Instant,
}

impl Consumer {
    pub(super) fn new(shared: Arc<Shared>, cache: Weak<Inner>) -> Self {
        Self {
            shared,
            cache,
            has_joined: false,
            read: Read::New,
            look_at: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let (mut pauses, mut absence) = (Pauses::new(), Absence::default());
        loop {
            // Whatever panics in it, the bus or the store, the events are still to be read.
            let round = Box::pin(race::caught(self.round()));
            // Dropped half-way, it has acknowledged nothing that it has not carried out.
            let Some(ended) = race::within(round, shared.closing.closed()).await else {
                break;
            };
            let ended = ended.unwrap_or_else(|panic| Err(Trouble::Panic(panicked(&*panic))));
            let pause = match ended {
                Ok(()) => {
                    pauses = Pauses::new();
                    absence.ended();
                    continue;
                }
                Err(Trouble::Gone) => break,
                Err(Trouble::Store(error)) => {
                    absence.ended();
                    tracing::debug!(%error, "events of other regions wait for the store of this one");
                    STORE_AWAY
                }
                Err(Trouble::Panic(panic)) => {
                    let bus = shared.bus.name();
                    tracing::error!(
                        bus,
                        panic,
                        "events of other regions are not carried out; it is tried again"
                    );
                    pauses.next()
                }
                Err(Trouble::Bus(error)) => {
                    shared.complain(
                        &mut absence,
                        &error,
                        "events of other regions cannot be read; it is tried again",
                    );
                    pauses.next()
                }
            };
            self.read = Read::Again;
            let _ = tokio::time::timeout(pause, shared.closing.closed()).await;
        }
        let left = shared.bus.leave(&shared.group, shared.process);
        if let Err(error) = shared.ask(Duration::ZERO, left).await {
            tracing::debug!(%error, "the bus was not told that this process ends");
        }
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        if !self.has_joined {
            self.join().await?;
        }
        if Instant::now() >= self.look_at {
            self.look_at = Instant::now() + self.shared.options.look_every();
            self.look_after().await?;
        }
        let shared = Arc::clone(&self.shared);
        let wait = self.look_at.saturating_duration_since(Instant::now());
        let read = shared
            .bus
            .read(&shared.group, shared.process, self.read, MOST, wait);
        let Some(events) = shared.ask(wait, read).await? else {
            self.has_joined = false;
            return Ok(());
        };
        if self.read == Read::Again && events.len() < MOST {
            // All that there was; what cannot be dealt with now is asked for once more.
            self.read = Read::New;
        }
        self.settle(events).await
    }

    /// Makes sure that the group is there, and then does the flush that it owes. In this order: what is published after the group was made will be
    /// read, and what was published before it is gone with the flush.
    pub(super) async fn join(&mut self) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        let joined = shared.bus.join(&shared.group);
        if let Some(flush) = shared.ask(Duration::ZERO, joined).await? {
            if !mutants::on(Mutant::OwedFlushNotDone) {
                self.flush().await?;
            }
            let flushed = shared.bus.flushed(&shared.group, flush);
            shared.ask(Duration::ZERO, flushed).await?;
        }
        self.has_joined = true;
        Ok(())
    }

    async fn flush(&self) -> Result<(), Trouble> {
        self.invalidate(&Keys::everything()).await?;
        self.shared.counts.flushes.add(1);
        Ok(())
    }

    /// Trims, looks how much there is, and takes over what a process that has died was given, and a flush that it did not come to.
    async fn look_after(&mut self) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        let (bus, group, none) = (&shared.bus, &shared.group, Duration::ZERO);
        // First: while the region's own store is away nothing else of this comes about.
        self.trim().await?;
        if let Some(backlog) = shared.ask(none, bus.backlog(group)).await? {
            shared.counts.note_backlog(backlog);
        }
        self.join().await?;
        if mutants::on(Mutant::DeadReaderNotTakenOver) {
            return Ok(());
        }
        loop {
            let claim = bus.claim(group, shared.process, shared.options.takeover, MOST);
            let claimed = shared.ask(none, claim).await?;
            let taken = claimed.len();
            shared.counts.taken_over.add(taken as u64);
            self.settle(claimed).await?;
            if taken < MOST {
                return Ok(());
            }
        }
    }

    async fn trim(&self) -> Result<(), Trouble> {
        let shared = &self.shared;
        let trimmed = shared.bus.trim(shared.options.retention_of_bus());
        for lost in shared.ask(Duration::ZERO, trimmed).await? {
            shared.counts.lost_groups.add(1);
            tracing::warn!(
                group = lost,
                "a group of the bus is too far behind and was given up; it will invalidate its namespace when it is back"
            );
        }
        Ok(())
    }

    /// Carries the events out, and acknowledges them after that.
    async fn settle(&self, events: Vec<Delivered>) -> Result<(), Trouble> {
        if events.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let work = Work::of(&events, &self.shared);
        if mutants::on(Mutant::AcknowledgedBeforeDone) {
            self.acknowledge(&work).await?;
        }
        self.carry_out(&work).await?;
        let counts = &self.shared.counts;
        for &(lag, invalidations) in &work.lags {
            counts.lags.note(lag + began.elapsed(), invalidations);
        }
        counts.applied.add(work.lags.len() as u64);
        counts.skipped.add(work.skipped);
        counts.unreadable.add(work.unreadable);
        self.acknowledge(&work).await
    }

    async fn acknowledge(&self, work: &Work) -> Result<(), Trouble> {
        let (bus, group) = (&self.shared.bus, &self.shared.group);
        let acknowledged = bus.acknowledge(group, &work.positions);
        self.shared.ask(Duration::ZERO, acknowledged).await?;
        Ok(())
    }

    async fn carry_out(&self, work: &Work) -> Result<(), Trouble> {
        if work.everything {
            return self.flush().await;
        }
        self.invalidate(&work.keys).await
    }

    async fn invalidate(&self, keys: &Keys) -> Result<(), Trouble> {
        let inner = self.cache.upgrade().ok_or(Trouble::Gone)?;
        if mutants::on(Mutant::EventsGoRound) {
            inner.tell_regions(keys, Told::Others);
        }
        let done = inner.invalidate_for_others(keys).await;
        done.map_err(Trouble::Store)
    }
}

/// What some events come to.
#[derive(Debug, Default)]
struct Work {
    keys: Keys,
    everything: bool,
    positions: Vec<Position>,
    /// How long those that are not the group's own had been on their way, and how many invalidations each is.
    lags: Vec<(Duration, u64)>,
    skipped: u64,
    unreadable: u64,
}

impl Work {
    fn of(events: &[Delivered], shared: &Shared) -> Self {
        let mut work = Self::default();
        for delivered in events {
            work.positions.push(delivered.position);
            let Some(event) = &delivered.event else {
                let bus = shared.bus.name();
                tracing::warn!(
                    bus,
                    "an event that cannot be read: what it invalidates is not known, and the namespace is invalidated"
                );
                work.unreadable += 1;
                work.everything |= !mutants::on(Mutant::UnreadableEventSkipped);
                continue;
            };
            if event.is_done_in(&shared.group) {
                work.skipped += 1;
                continue;
            }
            let invalidations = match &event.what {
                What::Keys(keys) => {
                    keys.iter().for_each(|key| work.keys.push(key.clone()));
                    keys.len()
                }
                What::Tags(tags) => {
                    tags.iter().for_each(|tag| work.keys.push_tag(tag.clone()));
                    tags.len()
                }
                What::Everything => {
                    work.everything = true;
                    1
                }
            };
            let lag = delivered.age + event.waited;
            work.lags.push((lag, invalidations as u64));
        }
        work.keys.dedup();
        work
    }
}
