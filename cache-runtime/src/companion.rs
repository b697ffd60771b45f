//! What the companion of a function does: `load_user::peek(42)` and its like.

use std::pin::Pin;
use std::time::Duration;

use crate::cache::{self, Cache};
use crate::error::{CodecError, Error};
use crate::invalidation::Keys;
use crate::key::Key;
use crate::pattern::entries::{self, CacheValue};
use crate::pattern::known::Known;
use crate::pattern::read_through::ahead;
use crate::shape::{IntoOutput, Outcome, Shape};
use crate::spec::{CodecKind, Spec};
use crate::stampede::stale;

/// An invalidation under way.
pub type Invalidation = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Removes the entry. Boxed, because a named type costs every function that is compiled less than one of its own.
pub fn invalidate(given: Option<Cache>, key: Key) -> Invalidation {
    Box::pin(async move { cache::resolve(given).invalidate(key).await })
}

/// Removes the entries of all elements.
pub fn invalidate_all(given: Option<Cache>, keys: Vec<Key>) -> Invalidation {
    Box::pin(async move { cache::resolve(given).invalidate_all(keys).await })
}

/// What the call would return if it were a hit. Loads nothing, and counts neither a hit nor a miss.
pub async fn peek<S>(
    spec: &'static Spec,
    given: Option<Cache>,
    key: Key,
    shape: S,
) -> Option<S::Output>
where
    S: Shape,
    S::Value: CacheValue,
{
    let cache = cache::resolve(given);
    let inner = &cache.inner;
    let stored = match inner.guarded.get_now(&key) {
        Some(local) => local,
        None => inner
            .guarded
            .get(&key, &[], &mut inner.guarded.budget())
            .await
            .ok()
            .flatten(),
    };
    entries::read(shape, inner.functions.of(spec), stored?)
        .filter(|found| !found.life.is_expired())
        .map(|found| found.output(shape))
}

/// Stores the value as if the function had just loaded it; removes what is there for `Err`, and for `None` unless the function has a
/// `negative_ttl`. While a strict write of
/// the key is in progress nothing is stored, and inside of a transaction the key is invalidated instead.
pub async fn put<S, V>(
    spec: &'static Spec,
    given: Option<Cache>,
    key: Key,
    known: Known,
    shape: S,
    value: V,
) -> Result<(), Error>
where
    S: Shape,
    S::Value: CacheValue,
    V: IntoOutput<S::Output>,
{
    let cache = cache::resolve(given);
    let inner = &cache.inner;
    let value = match shape.open(value.into_output()) {
        Outcome::Value(value) => Some(value),
        Outcome::Absent => None,
        Outcome::Failed(_) => return cache.invalidate(key).await,
    };
    let life = stale::life_of(spec, inner, shape, value.as_ref(), Duration::ZERO);
    // What is not to be stored takes what is there with it.
    let Some((life, keep)) = life else {
        return cache.invalidate(key).await;
    };
    if let Some(transaction) = cache::transaction() {
        // Nobody else may see it before the commit, and after the commit it may not be the row: the key is invalidated then.
        transaction.note(&cache, &Keys::from_iter([key.clone()]));
        return cache.invalidate(key).await;
    }
    let function = inner.functions.of(spec);
    let basis = known.basis(shape, value.as_ref(), None);
    let Some(stored) = entries::write(shape, inner, function, value.as_ref(), life, basis) else {
        let codec = function
            .codec(inner.settings.codec)
            .map_or("none", CodecKind::name);
        let problem = "the value cannot be stored: it could not be read back, or is too large, or has too many tags; the log says which, and what to do";
        return Err(CodecError::new(codec, problem).into());
    };
    inner.epochs.advance(std::slice::from_ref(&key));
    inner.tell_regions_of(std::slice::from_ref(&key));
    if inner.guarded.put(&key, stored, keep).await? && spec.refreshes_ahead() {
        ahead::watch(&cache, spec, &key, &life);
    }
    Ok(())
}

/// Runs the function so that it loads even if there is a value, and stores what it finds. If the key is being loaded already, the
/// result is that load's; to be sure of a later one, invalidate first.
pub async fn refresh<F: Future>(spec: &'static Spec, call: F) -> F::Output {
    cache::enter_refresh(spec, call).await
}
