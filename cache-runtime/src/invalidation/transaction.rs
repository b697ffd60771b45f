//! Invalidations that wait for a transaction to end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::announced::{self, Intent};
use super::keys::Keys;
use super::owed;
use crate::cache::{self, Cache, Inner};
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::race;

/// What the writers inside a transaction have noted.
#[derive(Debug, Default)]
pub(crate) struct Transaction(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    /// A transaction may touch several caches; there are few of them.
    of_caches: Vec<(Cache, Noted)>,
    intents: Vec<Intent>,
    /// A task that carried the transaction on may outlive it.
    ended: bool,
}

/// What is to be invalidated of one cache: a transaction may write thousands of rows.
#[derive(Debug, Default)]
struct Noted {
    keys: HashSet<Key>,
    tags: HashSet<Key>,
    everything: bool,
}

impl Noted {
    fn add(&mut self, keys: &Keys) {
        self.keys.extend(keys.keys().iter().cloned());
        self.tags.extend(keys.tags().iter().cloned());
        self.everything |= keys.is_everything();
    }

    /// Whether the entry of the key may be among it: of a tag one cannot tell whose it is.
    fn may_be_of(&self, key: &Key) -> bool {
        self.everything || !self.tags.is_empty() || self.keys.contains(key)
    }

    fn all(&self) -> Keys {
        if self.everything {
            return Keys::everything();
        }
        let mut all = Keys::from_iter(self.keys.iter().cloned());
        self.tags.iter().for_each(|tag| all.push_tag(tag.clone()));
        all
    }
}

impl Transaction {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes keys and tags to be invalidated at the end. `false` if that has come already.
    pub(crate) fn note(&self, cache: &Cache, keys: &Keys) -> bool {
        let mut notes = self.notes();
        if notes.ended || mutants::on(Mutant::TransactionNotAwaited) {
            return false;
        }
        let of_cache = notes
            .of_caches
            .iter()
            .position(|(noted, _)| Arc::ptr_eq(&noted.inner, &cache.inner));
        let at = of_cache.unwrap_or_else(|| {
            notes.of_caches.push((cache.clone(), Noted::default()));
            notes.of_caches.len() - 1
        });
        notes.of_caches[at].1.add(keys);
        true
    }

    /// Takes over intents, to end them at the end. `false` if that has come already.
    pub(crate) fn hold(&self, intents: &[Intent]) -> bool {
        let mut notes = self.notes();
        if !notes.ended {
            notes.intents.extend_from_slice(intents);
        }
        !notes.ended
    }

    /// Whether the entry of the key may be older than what the transaction has written.
    pub(crate) fn has_noted(&self, cache: &Cache, key: &Key) -> bool {
        self.notes()
            .of_caches
            .iter()
            .any(|(of, noted)| Arc::ptr_eq(&of.inner, &cache.inner) && noted.may_be_of(key))
            && !mutants::on(Mutant::WrittenKeysReadInTransaction)
    }

    fn take(&self) -> Notes {
        let mut notes = self.notes();
        let ended = Notes {
            ended: true,
            ..Notes::default()
        };
        std::mem::replace(&mut *notes, ended)
    }
}

/// Runs `work` as a transaction. One inside another is part of it: nothing takes effect before the outermost has ended.
pub(crate) async fn run<F: Future>(cache: Cache, work: F) -> F::Output {
    if cache::transaction().is_some() {
        return cache.scope(work).await;
    }
    let transaction = Arc::new(Transaction::default());
    let ending = Ending(Arc::clone(&transaction));
    let work = cache::enter_transaction(Arc::clone(&transaction), work);
    let output = race::beside(cache.scope(work), renew_held(&cache, &transaction)).await;
    ending.settle().await;
    output
}

/// Renews the intents that strict writers left to the transaction, as often as the shortest-lived of them needs it.
async fn renew_held(cache: &Cache, transaction: &Transaction) {
    let period_of = |cache: &Cache| cache.inner.settings.intent_ttl / 3;
    loop {
        let held = transaction.notes().intents.clone();
        let periods = held.iter().map(|intent| period_of(&intent.cache));
        let period = periods.min().unwrap_or_else(|| period_of(cache));
        cache.inner.clock.sleep(period).await;
        for intent in &held {
            intent.renew().await;
        }
    }
}

/// Settles what was noted, also if the transaction's work panics or is dropped.
struct Ending(Arc<Transaction>);

impl Ending {
    async fn settle(self) {
        // Taken out only as they are dealt with: a drop half-way settles the rest.
        let notes = self.0.take();
        let mut rest = Rest(Some(notes));
        if let Some(notes) = &rest.0 {
            deal_with(notes, true).await;
        }
        rest.0 = None;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        drop(Rest(Some(self.0.take())));
    }
}

struct Rest(Option<Notes>);

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(notes) = self.0.take().filter(|notes| !notes.of_caches.is_empty()) {
            // The commit may yet come: the intents are left to expire.
            Inner::detached(async move { deal_with(&notes, false).await });
        }
    }
}

async fn deal_with(notes: &Notes, end_intents: bool) {
    for (cache, noted) in &notes.of_caches {
        owed::report(cache.inner.invalidate(&noted.all()).await);
    }
    if end_intents {
        announced::end(&notes.intents).await;
    }
}
