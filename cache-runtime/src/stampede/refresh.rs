//! Whose turn it is to replace an entry in the background, and how long to wait after that failed.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::sync::{Mutex, MutexGuard, RandomState};

const SHARDS: usize = 64;

/// Past so many keys, and then whenever there are twice as many as were left, a shard forgets those whose time has come.
const SWEEP: usize = 256;

/// The pauses after failures: twice the one before, from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// After this the entry is looked at again that somebody else was seen to replace.
const ELSEWHERE: Duration = Duration::from_millis(250);

/// The entries that this process replaces in the background, or has lately failed to.
pub(crate) struct Refreshes {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    states: HashMap<Key, State>,
    sweep_at: usize,
}

#[derive(Default)]
struct State {
    under_way: bool,
    failures: u32,
    not_before: Option<Moment>,
}

impl State {
    /// Whether nobody is to begin.
    fn holds(&self, now: Moment) -> bool {
        self.under_way || self.not_before.is_some_and(|moment| moment > now)
    }
}

impl fmt::Debug for Refreshes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refreshes")
    }
}

impl Refreshes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        })
    }

    fn shard(&self, key: &Key) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    fn locked(&self, key: &Key) -> MutexGuard<'_, Shard> {
        self.shard(key)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long nobody is to begin, after a failure.
    pub(crate) fn pause(&self, key: &Key, clock: &Clock) -> Option<Duration> {
        let until = self.locked(key).states.get(key)?.not_before?;
        let left = until.since(clock.now());
        (!left.is_zero()).then_some(left)
    }

    /// The turn, unless somebody has it or has failed lately. A call that would have to wait to find out goes without: it has a
    /// value to return, and the next one asks again.
    pub(crate) fn begin(self: &Arc<Self>, key: &Key, clock: &Clock) -> Option<Turn> {
        let mut shard = match self.shard(key).try_lock() {
            Ok(shard) => shard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let now = clock.now();
        if shard.states.len() >= shard.sweep_at.max(SWEEP) {
            shard.states.retain(|_, state| state.holds(now));
            shard.sweep_at = shard.states.len() * 2;
        }
        let state = shard.states.entry(key.clone()).or_default();
        if state.holds(now) && !mutants::on(Mutant::RefreshesTakeNoTurns) {
            return None;
        }
        state.under_way = true;
        Some(Turn {
            refreshes: Arc::clone(self),
            key: key.clone(),
            clock: clock.clone(),
            ended: false,
        })
    }
}

/// The right of one task to replace one entry. Dropped without another word, as by a panic, it counts as failed.
pub(crate) struct Turn {
    refreshes: Arc<Refreshes>,
    key: Key,
    clock: Clock,
    ended: bool,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({})", self.key)
    }
}

impl Turn {
    /// The entry is as new as it can be.
    pub(crate) fn done(mut self) {
        self.ended = true;
        self.refreshes.locked(&self.key).states.remove(&self.key);
    }

    /// Somebody else replaces it, or nobody may now.
    pub(crate) fn elsewhere(mut self) {
        self.ended = true;
        let until = self.clock.now().after(ELSEWHERE);
        if let Some(state) = self.refreshes.locked(&self.key).states.get_mut(&self.key) {
            state.under_way = false;
            state.not_before = Some(until);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let now = self.clock.now();
        if let Some(state) = self.refreshes.locked(&self.key).states.get_mut(&self.key) {
            let doubled = FIRST_PAUSE.saturating_mul(1 << state.failures.min(16));
            state.under_way = false;
            state.failures = state.failures.saturating_add(1);
            state.not_before = Some(now.after(doubled.min(LONGEST_PAUSE)));
        }
    }
}
