//! Leases, intents, fences and pending values of the in-memory backend.

use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use smallvec::SmallVec;

use super::pending::Pending;
use crate::backend::{Token, WriteEnd};
use crate::clock::Moment;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::sync::{Mutex, MutexGuard, Notify, RandomState};

/// A fence outlives its value by this long.
const FENCE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

const SHARDS: usize = 64;

/// The states of the keys that have one: those with a load or a write in progress, a fence, or a pending value.
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

#[derive(Default)]
pub(super) struct Shard {
    states: HashMap<Key, State>,
    sweep_at: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// A std mutex: it is held for a few map operations and never across an await. Nothing panics under it but a
    /// user's weigher, and the state is whole then, so a poisoned lock is used on.
    pub(super) fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for state in shard.states.values_mut() {
                state.lease = None;
                state.overlap();
                state.dispute();
                state.wake();
            }
        }
    }
}

impl Shard {
    pub(super) fn existing(&mut self, key: &Key) -> Option<&mut State> {
        self.states.get_mut(key)
    }

    pub(super) fn state(&mut self, key: &Key, now: Moment) -> &mut State {
        if self.states.len() >= self.sweep_at.max(1024) {
            self.states.retain(|_, state| !state.is_idle(now));
            self.sweep_at = self.states.len() * 2;
        }
        self.states.entry(key.clone()).or_default()
    }

    /// Ends the lease, whoever holds it, wakes those who wait for it, and forgets a state that says nothing any more.
    pub(super) fn end_lease(&mut self, key: &Key, now: Moment) {
        let Some(state) = self.states.get_mut(key) else {
            return;
        };
        state.lease = None;
        state.wake();
        self.forget_if_idle(key, now);
    }

    pub(super) fn forget_if_idle(&mut self, key: &Key, now: Moment) {
        if self.states.get(key).is_some_and(|state| state.is_idle(now)) {
            self.states.remove(key);
        }
    }
}

/// What is going on with one key.
#[derive(Default)]
pub(super) struct State {
    lease: Option<(Token, Moment)>,
    intents: SmallVec<[Intent; 1]>,
    generation: Option<Token>,
    fence: Option<(u64, Moment)>,
    waiters: Option<Arc<Notify>>,
    /// While there is one, no lease stands. Few keys have one, hence the box.
    pub(super) pending: Option<Box<Pending>>,
}

struct Intent {
    token: Token,
    expiry: Moment,
    overlapped: bool,
}

impl State {
    fn is_idle(&self, now: Moment) -> bool {
        self.lease(now).is_none()
            && !self.is_pending()
            && self.intents.iter().all(|intent| intent.expiry <= now)
            && self.fence.is_none_or(|(_, kept_until)| kept_until <= now)
    }

    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    fn wake(&self) {
        if let Some(waiters) = &self.waiters {
            waiters.notify_waiters();
        }
    }

    /// Resolves when the lease ends. It counts as waiting from now on, before its first poll.
    pub(super) fn waiter(&mut self) -> impl Future<Output = ()> + use<> {
        Arc::clone(self.waiters.get_or_insert_default()).notified_owned()
    }

    pub(super) fn lease(&self, now: Moment) -> Option<Token> {
        self.lease
            .and_then(|(token, expiry)| (expiry > now).then_some(token))
    }

    pub(super) fn lease_left(&self, now: Moment) -> Duration {
        self.lease
            .map_or(Duration::ZERO, |(_, expiry)| expiry.since(now))
    }

    pub(super) fn grant(&mut self, token: Token, expiry: Moment) {
        self.lease = Some((token, expiry));
    }

    /// The generation of writes, while one is in progress.
    pub(super) fn write_in_progress(&mut self, now: Moment) -> Option<Token> {
        let before = self.intents.len();
        self.intents.retain(|intent| intent.expiry > now);
        if self.intents.len() < before {
            self.generation = Some(Token::fresh());
        }
        if self.intents.is_empty() {
            None
        } else {
            self.generation
        }
    }

    pub(super) fn begin_write(&mut self, token: Token, now: Moment, expiry: Moment) {
        self.write_in_progress(now);
        let overlapped = !self.intents.is_empty() && !mutants::on(Mutant::MemoryOverlapNotMarked);
        if overlapped {
            self.overlap();
        }
        self.dispute();
        self.intents.push(Intent {
            token,
            expiry,
            overlapped,
        });
        self.generation = Some(Token::fresh());
    }

    pub(super) fn renew_write(&mut self, token: Token, now: Moment, expiry: Moment) -> bool {
        self.write_in_progress(now);
        let intent = self.intents.iter_mut().find(|intent| intent.token == token);
        intent.map(|intent| intent.expiry = expiry).is_some()
    }

    /// Ends a write. One whose intent is gone may have been committed at any time, so what the others hold is no newer for certain; and a
    /// pending value is newer than any of them.
    pub(super) fn end_write(&mut self, token: Token, now: Moment) -> WriteEnd {
        self.write_in_progress(now);
        self.generation = Some(Token::fresh());
        match self.intents.iter().position(|intent| intent.token == token) {
            Some(at) if !self.intents.swap_remove(at).overlapped && !self.is_pending() => {
                WriteEnd::Clean
            }
            Some(_) => WriteEnd::Overlapped,
            None if mutants::on(Mutant::MemoryExpiredIntentStores) => WriteEnd::Clean,
            None => {
                self.overlap();
                WriteEnd::Overlapped
            }
        }
    }

    /// Something else changed the row: no write in progress may store its value, and what is loaded beside it from now on is not
    /// what was loaded before.
    pub(super) fn overlap(&mut self) {
        self.generation = Some(Token::fresh());
        for intent in &mut self.intents {
            intent.overlapped = true;
        }
    }

    /// Raises the fence to `version` if that is newer.
    pub(super) fn raise_fence(&mut self, version: u64, now: Moment, ttl: Duration) -> bool {
        if self
            .fence
            .is_some_and(|(fence, kept_until)| kept_until > now && fence >= version)
            && !mutants::on(Mutant::MemoryOlderVersionStored)
        {
            return false;
        }
        let kept = if mutants::on(Mutant::MemoryFenceForgottenWithValue) {
            Duration::ZERO
        } else {
            FENCE_KEPT
        };
        self.fence = Some((version, now.after(ttl).after(kept)));
        true
    }
}
