//! Single-flight in the process: one load, or one question to the backend, that others wait for.
//!
//! A load is keyed by the entry's key *and* by what the backend answered when its caller asked ([`Join`]): a caller that
//! arrives after an invalidation is told another token and so never joins a load from before it.

use std::collections::HashMap;
use std::collections::hash_map;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use crate::backend::{LeaseMode, SharedValue, Stored, TagVersion, Token, Versions};
use crate::error::BackendError;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::pattern::known::TagsId;
use crate::shape::SharedError;
use crate::sync::{Mutex, MutexGuard, Notify, OnceLock, RandomState};

const SHARDS: usize = 64;

/// Whose load a caller may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Join {
    /// The load under this lease, or the loads of this generation of writes, of a caller who knows the same tags.
    Token(Token, TagsId),
    /// Any load of the key (`eventual`).
    KeyAlone,
    /// While the backend cannot be asked: a load since this process's last invalidation of the key.
    Away(u64),
    /// A load that began after the caller did (`strict`, where the backend's answer is not enough).
    Later,
}

/// Who may have what a load found. One who was told of its lease may have it as long as no invalidation that the caller knows of came after it had
/// begun: of the key, which the lease itself tells, or of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was stored, so no tag of it was invalidated until then; and nobody is told of a lease that has ended.
    Stored,
    /// It is from after this moment.
    Since(TagVersion),
    /// It has tags that nobody knew before.
    Unknown,
}

impl Standing {
    /// Whether it is from after an invalidation of its tags.
    pub(crate) fn is_after(self, last: TagVersion) -> bool {
        match self {
            Self::Stored => true,
            Self::Since(since) => since >= last,
            Self::Unknown => false,
        }
    }
}

/// How a load ended.
#[derive(Clone, Default)]
pub(crate) enum Landing {
    Value(SharedValue, Standing),
    Absent(Standing),
    Error(SharedError),
    /// It failed, with an error that cannot be handed on.
    Failed,
    /// Its leader was dropped or panicked, or lost its turn: ask again.
    #[default]
    Again,
}

/// What the backend answered to a question for the lease.
#[derive(Debug, Clone, Default)]
pub(crate) enum Told {
    Hit(Stored),
    Busy(Token, Versions),
    Bypass(Token, Versions),
    Away(BackendError),
    /// Whoever asked was dropped before the answer came.
    #[default]
    Nothing,
}

/// The loads of one cache.
pub(crate) type Loads = Flights<Join, Landing>;

/// The questions of one cache. Callers that miss one key together ask once for all of them.
pub(crate) type Questions = Flights<(LeaseMode, TagsId), Told>;

impl fmt::Debug for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(..) => "Value",
            Self::Absent(_) => "Absent",
            Self::Error(_) => "Error",
            Self::Failed => "Failed",
            Self::Again => "Again",
        })
    }
}

/// A moment in the order in which calls and flights of this process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Ticket {
    pub(crate) fn draw() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::SeqCst))
    }
}

/// A flight under way.
#[derive(Debug)]
pub(crate) struct Flight<L> {
    began: Ticket,
    landing: OnceLock<L>,
    landed: Notify,
}

impl Landing {
    /// For a caller who was told of the flight's lease, and of the last invalidation of its tags: it may have to ask again.
    pub(crate) fn after(self, last: TagVersion) -> Self {
        match self {
            Self::Value(_, standing) | Self::Absent(standing)
                if !standing.is_after(last) && !mutants::on(Mutant::InvalidatedTagsJoined) =>
            {
                Self::Again
            }
            landing => landing,
        }
    }
}

impl<L: Clone> Flight<L> {
    /// Whether it began after the caller did.
    pub(crate) fn began_after(&self, caller: Ticket) -> bool {
        self.began > caller
    }

    /// Waits for the end.
    pub(crate) async fn landing(&self) -> L {
        loop {
            let landed = self.landed.notified();
            if let Some(landing) = self.landing.get() {
                return landing.clone();
            }
            landed.await;
        }
    }
}

type Departures<J, L> = HashMap<(Key, J), Arc<Flight<L>>>;

/// Flights under way, by key and by `J`.
pub(crate) struct Flights<J, L> {
    shards: Box<[Mutex<Departures<J, L>>]>,
    hasher: RandomState,
}

impl<J, L> fmt::Debug for Flights<J, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

/// What a caller got.
pub(crate) enum Boarding<J: Copy + Eq + Hash, L: Default> {
    /// Nobody is flying: the caller leads.
    Lead(Seat<J, L>),
    /// Somebody is.
    Join(Arc<Flight<L>>),
}

impl<J: Copy + Eq + Hash, L: Default> Flights<J, L> {
    pub(crate) fn new() -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self {
            shards,
            hasher: RandomState::new(),
        })
    }

    /// A std mutex: held for one map operation, never across an await, and nothing of a user's runs under it.
    fn shard(&self, key: &Key) -> MutexGuard<'_, Departures<J, L>> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the flight, or begins it.
    pub(crate) fn board(self: &Arc<Self>, key: &Key, join: J) -> Boarding<J, L> {
        let mut shard = self.shard(key);
        match shard.entry((key.clone(), join)) {
            hash_map::Entry::Occupied(under_way) => Boarding::Join(Arc::clone(under_way.get())),
            hash_map::Entry::Vacant(free) => {
                let flight = Arc::new(Flight {
                    began: Ticket::draw(),
                    landing: OnceLock::new(),
                    landed: Notify::new(),
                });
                free.insert(Arc::clone(&flight));
                Boarding::Lead(Seat {
                    flights: Arc::clone(self),
                    key: key.clone(),
                    join,
                    flight,
                })
            }
        }
    }
}

/// The leader's place. However it is given up, those who wait are woken.
pub(crate) struct Seat<J: Copy + Eq + Hash, L: Default> {
    flights: Arc<Flights<J, L>>,
    key: Key,
    join: J,
    flight: Arc<Flight<L>>,
}

impl<J: Copy + Eq + Hash, L: Default> fmt::Debug for Seat<J, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({})", self.key)
    }
}

impl<J: Copy + Eq + Hash, L: Default> Seat<J, L> {
    /// Ends the flight for everybody.
    pub(crate) fn land(self, landing: L) {
        // Set before the drop, which would say that it came to nothing.
        let _ = self.flight.landing.set(landing);
    }

    /// Ends the flight; what it ended with is only made if somebody is there to have it.
    pub(crate) fn land_for_others(self, landing: impl FnOnce() -> L) {
        // Taken out of the table first, so that nobody can join between the look and the landing.
        drop(self.depart());
        // The leader's own reference is one.
        if Arc::strong_count(&self.flight) > 1 {
            let _ = self.flight.landing.set(landing());
        }
    }

    /// Ends the flight for those who have joined, while its leader goes on.
    #[cfg(mutants)]
    pub(crate) fn land_early(&self, landing: L) {
        drop(self.depart());
        let _ = self.flight.landing.set(landing);
        self.flight.landed.notify_waiters();
    }

    /// Takes the flight out of the table, unless it has left already: another of the same name may be there by now.
    fn depart(&self) -> Option<Arc<Flight<L>>> {
        let mut shard = self.flights.shard(&self.key);
        let hash_map::Entry::Occupied(entry) = shard.entry((self.key.clone(), self.join)) else {
            return None;
        };
        Arc::ptr_eq(entry.get(), &self.flight).then(|| entry.remove())
    }
}

impl<J: Copy + Eq + Hash, L: Default> Drop for Seat<J, L> {
    fn drop(&mut self) {
        if mutants::on(Mutant::DroppedLeaderKeepsFlight) && self.flight.landing.get().is_none() {
            return;
        }
        drop(self.depart());
        let _ = self.flight.landing.set(L::default());
        self.flight.landed.notify_waiters();
    }
}
