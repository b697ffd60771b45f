//! A batch loader: every element has an entry, a lease and a flight of its own; the look-up, the load and the store are done for all
//! of them at once.
//!
//! Elements that another caller loads are waited for only after the own load has been done and stored. So no two batches ever wait for
//! each other, in whatever order they ask for the same elements.

mod form;
mod leases;
mod load;
mod misses;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;

pub use form::{BatchProbe, Fit, ViaFit, ViaForm};
pub(crate) use form::{Collection, Form, Keyed};

use self::misses::Misses;
use crate::backend::{LeaseMode, Stored, Tags};
use crate::cache::{self, Cache, Current, Place};
use crate::error::BackendError;
use crate::guard::Budget;
use crate::key::{Key, KeyElements};
use crate::observe::Count;
use crate::pattern::entries::{self, CacheValue};
use crate::pattern::known::Known;
use crate::pattern::loading::StandIn;
use crate::shape::{OptionOf, Shape};
use crate::spec::Spec;

/// The elements that a call asks for, each with its key.
pub struct BatchKeys<K> {
    /// What is looked up and loaded: the first element of each key.
    distinct: Vec<(K, Key)>,
    /// What is known of the tags of each of them; none of them for a function without tags.
    known: Vec<Known>,
    by_key: HashMap<Key, usize>,
    /// What was asked for, in its order, duplicates too, with the place of its key in `distinct`.
    asked: Vec<(K, usize)>,
}

impl<K> fmt::Debug for BatchKeys<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchKeys({})", self.asked.len())
    }
}

impl<K: Clone> BatchKeys<K> {
    /// None yet, for the elements of this list. The list says at once what they are, for the messages of all that follows.
    pub fn of<C: KeyElements<Element = K> + ?Sized>(list: &C) -> Self {
        let count = list.elements().size_hint().0;
        Self {
            distinct: Vec::with_capacity(count),
            known: Vec::new(),
            by_key: HashMap::with_capacity(count),
            asked: Vec::with_capacity(count),
        }
    }

    /// Adds an element.
    pub fn push(&mut self, item: &K, key: Key) {
        let next = self.distinct.len();
        let at = *self.by_key.entry(key.clone()).or_insert(next);
        if at == next {
            self.distinct.push((item.clone(), key));
        }
        self.asked.push((item.clone(), at));
    }

    /// Adds an element of a function with tags.
    pub fn push_tagged(&mut self, item: &K, key: Key, known: impl FnOnce() -> Known) {
        self.push(item, key);
        if self.known.len() < self.distinct.len() {
            self.known.push(known());
        }
    }
}

/// So many tags are asked for with the values, whether those have them or not.
const FEW_TAGS: usize = 32;

/// Of an element without tags.
static NOTHING_KNOWN: Known = Known::new();

impl<K> BatchKeys<K> {
    /// All tags that are known, if they are few: those of an element of its own are asked for when it is there.
    fn tags(&self) -> Tags {
        let mut tags = Tags::new();
        for known in &self.known {
            for tag in known.tags().as_slice() {
                tags.push(tag.clone());
                if tags.as_slice().len() > FEW_TAGS {
                    return Tags::new();
                }
            }
        }
        tags
    }

    /// What is known of the tags of the distinct element of this place.
    fn known(&self, at: usize) -> &Known {
        self.known.get(at).unwrap_or(&NOTHING_KNOWN)
    }
}

/// The shape of one element's value.
pub fn element<F, K>(_: &F, _: &BatchKeys<K>) -> OptionOf<<F::Collection as Collection<K>>::Value>
where
    F: Form,
    F::Collection: Collection<K>,
{
    OptionOf::new()
}

/// One element that is not found yet.
struct Missing<S: Shape> {
    /// Its place among the distinct elements.
    at: usize,
    key: Key,
    mode: LeaseMode,
    stand_in: Option<StandIn<S::Value>>,
}

/// What was found so far: for each distinct element nothing yet, or what is known of it.
type Answers<V> = Vec<Option<Option<V>>>;

/// Looks up all elements at once, has the body load those that are missing, and stores them.
pub async fn batch<K, F, S, B, W>(
    spec: &'static Spec,
    given: Option<Cache>,
    keys: BatchKeys<K>,
    form: F,
    element: S,
    body: B,
) -> F::Output
where
    K: Clone,
    F: Form,
    F::Collection: Collection<K>,
    S: Shape<Output = Option<<F::Collection as Collection<K>>::Value>>,
    S::Value: CacheValue,
    B: FnMut(Vec<K>) -> W,
    W: Future<Output = F::Output>,
{
    let place = cache::place(Some(spec));
    let mut answers = vec![None; keys.distinct.len()];
    let looked = look_up(spec, given, place, &keys, element, &mut answers).await;
    if !looked.missing.is_empty() {
        let (misses, missing) = Misses::new(looked, spec, form, element, &keys);
        // In a box of its own, so that a call that finds everything does not carry its size about.
        let found = Box::pin(misses.resolve(missing, &mut answers, body)).await;
        if let Err(output) = found {
            return output;
        }
    }
    let found = in_order(keys, answers)
        .map(|(item, value)| (item, value.and_then(|value| element.value(value))));
    form.found(F::Collection::close(found))
}

/// What a look-up came to.
struct LookedUp<S: Shape> {
    cache: Cache,
    missing: Vec<Missing<S>>,
    /// Inside a transaction: what the call loads is for it alone.
    alone: bool,
    budget: Budget,
    /// The backend did not answer.
    away: Option<BackendError>,
}

/// Finds what is there.
async fn look_up<K, S>(
    spec: &'static Spec,
    given: Option<Cache>,
    place: Place,
    keys: &BatchKeys<K>,
    element: S,
    answers: &mut Answers<S::Value>,
) -> LookedUp<S>
where
    S: Shape,
    S::Value: CacheValue,
{
    let Place {
        cache,
        transaction,
        refresh,
        warming,
    } = place;
    let cache = given.map_or(cache, Current::Own);
    if let Some(accesses) = &cache.inner.accesses
        && !(refresh || warming)
    {
        for (_, key) in &keys.distinct {
            accesses.saw(key, &cache.inner.clock);
        }
    }
    let noted = |key: &Key| {
        transaction
            .as_ref()
            .is_some_and(|transaction| transaction.has_noted(&cache, key))
    };
    let wanted: Vec<Key> = if refresh {
        Vec::new()
    } else {
        let all = keys.distinct.iter().map(|(_, key)| key);
        all.filter(|key| !noted(key)).cloned().collect()
    };
    let mut budget = cache.inner.guarded.budget();
    let mut away = None;
    let found = stored(&cache, &wanted, &keys.tags(), &mut budget)
        .await
        .unwrap_or_else(|error| {
            away = Some(error);
            vec![None; wanted.len()]
        });
    let mut found = wanted.into_iter().zip(found).peekable();
    let function = cache.inner.functions.of(spec);
    let (mut hits, mut missing) = (0, Vec::new());
    for (at, (_, key)) in keys.distinct.iter().enumerate() {
        let stored = found.next_if(|(looked_up, _)| looked_up == key);
        let mut mode = LeaseMode::IfMissing;
        if refresh {
            mode = LeaseMode::Refresh;
        }
        let mut stand_in = None;
        if let Some(stored) = stored.and_then(|(_, stored)| stored) {
            mode = LeaseMode::IfStill(stored.mark());
            match entries::read(element, function, stored) {
                Some(found) if found.life.is_expired() => {
                    stand_in = Some(StandIn::new(found, &cache.inner.clock));
                }
                Some(found) => {
                    hits += 1;
                    answers[at] = Some(found.value);
                    continue;
                }
                None => {}
            }
        }
        missing.push(Missing {
            at,
            key: key.clone(),
            mode,
            stand_in,
        });
    }
    function.counters.add(Count::Hits, hits);
    LookedUp {
        cache: cache.into_owned(),
        missing,
        alone: transaction.is_some(),
        budget,
        away,
    }
}

async fn stored(
    cache: &Cache,
    keys: &[Key],
    tags: &Tags,
    budget: &mut Budget,
) -> Result<Vec<Option<Stored>>, BackendError> {
    let guarded = &cache.inner.guarded;
    let here: Option<Vec<_>> = keys.iter().map(|key| guarded.get_now(key)).collect();
    match here {
        Some(here) => Ok(here),
        None => guarded.get_many(keys, tags.as_slice(), budget).await,
    }
}

/// Every element that was asked for with what was found for it. A value that is asked for once is handed on, not copied.
fn in_order<K: Clone, V: Clone>(
    keys: BatchKeys<K>,
    mut answers: Answers<V>,
) -> impl Iterator<Item = (K, Option<V>)> {
    let mut uses = vec![0_usize; keys.distinct.len()];
    for (_, at) in &keys.asked {
        uses[*at] += 1;
    }
    keys.asked.into_iter().map(move |(item, at)| {
        uses[at] -= 1;
        let answer = if uses[at] == 0 {
            answers[at].take()
        } else {
            answers[at].clone()
        };
        (item, answer.flatten())
    })
}
