//! One load of a batch: the body runs once for all its elements, and what it found is stored at once, each under its own lease.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use super::leases::Leases;
use super::misses::Misses;
use super::{Answers, Collection, Form, Missing};
use crate::backend::{Fill, HeldLease, LeaseMode, Token, Versions};
use crate::cache::{self, Cache};
use crate::key::Key;
use crate::observe::Count;
use crate::pattern::entries::{self, CacheValue};
use crate::pattern::loading::LoadSeat;
use crate::race;
use crate::shape::{Outcome, Shape};
use crate::stampede::flight::{Landing, Standing};
use crate::stampede::stale;
use crate::warm::witness::Sight;

/// What a call holds of an element that it loads.
pub(super) enum Held {
    /// The lease, so that it may store, and the flight that others of this process join.
    Lease(Token, LoadSeat, Versions),
    /// A flight without the right to store; what the backend said of the tags, if the flight is named after its answer.
    Seat(LoadSeat, Option<Versions>),
    Nothing,
}

impl Held {
    fn into_seat(self) -> Option<LoadSeat> {
        match self {
            Self::Lease(_, seat, _) | Self::Seat(seat, _) => Some(seat),
            Self::Nothing => None,
        }
    }

    /// Who may have what was found, where it is not stored.
    fn standing(&self, has_unknown_tags: bool) -> Standing {
        match self {
            Self::Lease(_, _, versions) | Self::Seat(_, Some(versions)) if !has_unknown_tags => {
                Standing::Since(versions.now)
            }
            _ => Standing::Unknown,
        }
    }
}

/// What a load came to.
pub(super) enum Loaded<R> {
    /// Each element has its answer.
    All,
    /// This is what the call returns.
    Instead(R),
}

/// Loads the elements, stores them, and lets those who wait have them.
pub(super) async fn run<K, F, S, B, W>(
    misses: &Misses<'_, K, F, S>,
    load: Vec<(Missing<S>, Held)>,
    leases: Leases,
    answers: &mut Answers<S::Value>,
    body: &mut B,
) -> Loaded<F::Output>
where
    K: Clone,
    F: Form,
    F::Collection: Collection<K>,
    S: Shape<Output = Option<<F::Collection as Collection<K>>::Value>>,
    S::Value: CacheValue,
    B: FnMut(Vec<K>) -> W,
    W: Future<Output = F::Output>,
{
    let counters = &misses.function().counters;
    counters.one(Count::Loads);
    counters.add(Count::Misses, load.len() as u64);
    let items: Vec<K> = load
        .iter()
        .map(|(missing, _)| misses.item(missing.at))
        .collect();
    let clock = &misses.inner().clock;
    let began = clock.now();
    let renewals = Box::pin(renew(&misses.cache, leases.all().to_vec()));
    let keys = load.iter().map(|(missing, _)| missing.key.clone());
    let work = cache::enter_load(&misses.cache, keys.collect(), body(items.clone()));
    let output = race::beside(work, renewals).await;
    let load_time = clock.now().since(began);
    let micros = u64::try_from(load_time.as_micros()).unwrap_or(u64::MAX);
    counters.add(Count::LoadMicros, micros);
    let collection = match misses.form.open(output) {
        Ok(collection) => collection,
        Err(error) => return failed(misses, load, leases, answers, error).await,
    };
    match collection.open(&items) {
        Ok(values) => {
            let values = values
                .into_iter()
                .map(|value| match misses.element.open(value) {
                    Outcome::Value(value) => Some(value),
                    Outcome::Absent | Outcome::Failed(_) => None,
                });
            let values = values.collect();
            store(misses, load, leases, values, load_time, answers).await;
            Loaded::All
        }
        Err(list) => {
            tracing::error!(
                function = misses.spec.name(),
                file = misses.spec.file(),
                line = misses.spec.line(),
                "a batch loader returned a list of another length than it was given items: nothing of it is stored"
            );
            leases.release().await;
            drop(load);
            let all = misses.all_items();
            // As without a cache. Whose value is which cannot be told, so what was loaded for a part of them helps nobody.
            if all.len() == items.len() {
                return Loaded::Instead(misses.form.found(list));
            }
            Loaded::Instead(body(all).await)
        }
    }
}

/// Renews the leases for as long as they stand.
async fn renew(cache: &Cache, mut held: Vec<HeldLease>) {
    let inner = &cache.inner;
    let ttl = inner.settings.lease_ttl;
    while !held.is_empty() {
        inner.clock.sleep(ttl / 3).await;
        if let Ok(stand) = inner.guarded.renew_many(&held, ttl).await {
            let mut stand = stand.into_iter();
            held.retain(|_| stand.next() == Some(true));
        }
    }
}

/// Stores what was found in one round trip. A lease that was lost costs its own element alone.
async fn store<K, F, S>(
    misses: &Misses<'_, K, F, S>,
    load: Vec<(Missing<S>, Held)>,
    leases: Leases,
    values: Vec<Option<S::Value>>,
    load_time: Duration,
    answers: &mut Answers<S::Value>,
) where
    K: Clone,
    F: Form,
    F::Collection: Collection<K>,
    S: Shape<Output = Option<<F::Collection as Collection<K>>::Value>>,
    S::Value: CacheValue,
{
    let mut stores = Stores::new(leases);
    for ((missing, held), value) in load.iter().zip(&values) {
        if let Held::Lease(token, _, versions) = held {
            let entry = entry(
                misses,
                missing,
                *token,
                *versions,
                (value.as_ref(), load_time),
            );
            stores.add(&missing.key, *token, entry, missing.mode);
        }
    }
    let stored = stores.carry_out(misses).await;
    let has_tags_of_result = misses.spec.has_tags_of_result();
    for ((missing, held), value) in load.into_iter().zip(values) {
        cache::saw(value.as_ref().map_or(Sight::Absent, |_| Sight::Load));
        if !matches!(held, Held::Lease(..)) {
            cache::saw(Sight::NotStored);
        }
        let standing = match held {
            Held::Lease(token, ..) if stored.contains(&token) => Standing::Stored,
            // What there is none of has no tags.
            ref held => held.standing(has_tags_of_result && value.is_some()),
        };
        if let Some(seat) = held.into_seat() {
            seat.land_for_others(|| match &value {
                Some(value) => Landing::Value(misses.element.keep(value.clone()), standing),
                None => Landing::Absent(standing),
            });
        }
        answers[missing.at] = Some(value);
    }
}

/// What is stored of an element; `None` for what is not to be.
fn entry<K, F, S>(
    misses: &Misses<'_, K, F, S>,
    missing: &Missing<S>,
    token: Token,
    versions: Versions,
    (value, load_time): (Option<&S::Value>, Duration),
) -> Option<Fill>
where
    K: Clone,
    F: Form,
    F::Collection: Collection<K>,
    S: Shape<Output = Option<<F::Collection as Collection<K>>::Value>>,
    S::Value: CacheValue,
{
    let (inner, function) = (misses.inner(), misses.function());
    let (life, keep) = stale::life_of(misses.spec, inner, misses.element, value, load_time)?;
    let known = misses.known(missing.at);
    let basis = known.basis(misses.element, value, Some(versions.now));
    let value = entries::write(misses.element, inner, function, value, life, basis)?;
    Some(Fill {
        key: missing.key.clone(),
        token,
        value,
        keep,
    })
}

/// What is to be done at the backend after a load.
struct Stores {
    leases: Leases,
    fills: Vec<Fill>,
    /// Leases of what is not stored.
    released: HashSet<Token>,
    /// Nothing comes in the place of these, but the loader says that they are not true any more.
    outdated: Vec<Key>,
}

impl Stores {
    fn new(leases: Leases) -> Self {
        Self {
            leases,
            fills: Vec::new(),
            released: HashSet::new(),
            outdated: Vec::new(),
        }
    }

    fn add(&mut self, key: &Key, token: Token, entry: Option<Fill>, mode: LeaseMode) {
        match entry {
            Some(fill) => self.fills.push(fill),
            None if mode == LeaseMode::IfMissing => {
                self.released.insert(token);
            }
            // The invalidation ends the lease too.
            None => self.outdated.push(key.clone()),
        }
    }

    /// Does it, and tells the leases under which something was stored.
    async fn carry_out<K, F, S>(mut self, misses: &Misses<'_, K, F, S>) -> HashSet<Token>
    where
        K: Clone,
        F: Form,
        F::Collection: Collection<K>,
        S: Shape<Output = Option<<F::Collection as Collection<K>>::Value>>,
        S::Value: CacheValue,
    {
        let inner = misses.inner();
        let counters = &misses.function().counters;
        if !self.outdated.is_empty() {
            inner.guarded.invalidate(&self.outdated).await;
        }
        let mut under = HashSet::new();
        if !self.fills.is_empty() {
            let tokens: Vec<Token> = self.fills.iter().map(|fill| fill.token).collect();
            match inner.guarded.fill_many(self.fills).await {
                Ok(stored) => {
                    let stored = tokens.iter().zip(stored).filter(|(_, stored)| *stored);
                    under.extend(stored.map(|(token, _)| *token));
                    let lost = tokens.len() - under.len();
                    counters.add(Count::RejectedFills, lost as u64);
                    if lost > 0 {
                        cache::saw(Sight::NotStored);
                    }
                }
                Err(error) => {
                    counters.one(Count::Errors);
                    cache::saw(Sight::NotStored);
                    tracing::debug!(function = misses.spec.name(), %error, "results not stored");
                    // Any of them may stand yet. Given back in the background: this call has waited enough for the backend.
                    return under;
                }
            }
        }
        self.leases.retain(&self.released);
        self.leases.release().await;
        under
    }
}

/// The body failed: with it all its elements, but for those that have a value to stand in.
async fn failed<K, F, S>(
    misses: &Misses<'_, K, F, S>,
    load: Vec<(Missing<S>, Held)>,
    leases: Leases,
    answers: &mut Answers<S::Value>,
    error: F::Error,
) -> Loaded<F::Output>
where
    K: Clone,
    F: Form,
    F::Collection: Collection<K>,
    S: Shape<Output = Option<<F::Collection as Collection<K>>::Value>>,
    S::Value: CacheValue,
{
    misses.function().counters.one(Count::LoadErrors);
    cache::saw(Sight::Failure);
    let shared = misses.form.share(&error);
    leases.release().await;
    let mut elements = Vec::with_capacity(load.len());
    for (missing, held) in load {
        if let Some(seat) = held.into_seat() {
            seat.land_for_others(|| shared.clone().map_or(Landing::Failed, Landing::Error));
        }
        elements.push(missing);
    }
    if !elements.iter().all(|missing| misses.stands_in(missing)) {
        return Loaded::Instead(misses.form.failed(error));
    }
    for mut missing in elements {
        answers[missing.at] = misses.stand_in(&mut missing);
    }
    Loaded::All
}
