//! `#[invalidates]`: the body, and the invalidation that follows it whatever happens.

use std::future::Future;

use smallvec::SmallVec;

use super::transaction::{Intent, Transaction};
use crate::backend::Token;
use crate::cache::{self, Cache, Inner};
use crate::error::Error;
use crate::guard::Delivery;
use crate::key::Key;
use crate::race;
use crate::shape::Shape;
use crate::spec::WriterSpec;
use std::sync::Arc;

/// The keys that a writer invalidates.
#[derive(Debug, Clone, Default)]
pub struct Keys(SmallVec<[Key; 2]>);

impl Keys {
    /// No keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key.
    pub fn push(&mut self, key: Key) {
        self.0.push(key);
    }

    /// Drops what was added twice. Once, at the end: looking at every key for each would be slow for thousands.
    fn dedup(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
    }

    pub(super) fn as_slice(&self) -> &[Key] {
        &self.0
    }
}

/// An error type that can say that a strict write was refused.
#[diagnostic::on_unimplemented(
    message = "a strict writer's error type must be able to hold a refusal: `{Self}` cannot be made from `cache_runtime::Error`",
    label = "needs `From<cache_runtime::Error>`",
    note = "`consistency = \"strict\"` refuses the write when readers cannot be told of it; return `Result<_, E>` with `impl From<cache_runtime::Error> for E`"
)]
pub trait StrictError: From<Error> {}

impl<E: From<Error>> StrictError for E {}

/// Runs a writer's body and then invalidates its keys: after `Ok`, `Err`, a panic, or when the future is dropped.
pub async fn write<S, F, K>(
    spec: &'static WriterSpec,
    given: Option<Cache>,
    keys: Keys,
    shape: S,
    from_return: K,
    body: F,
) -> S::Output
where
    S: Shape,
    F: Future<Output = S::Output>,
    K: FnOnce(&S::Value, &mut Keys),
{
    let mut owed = Owed::new(spec, given, keys);
    let output = body.await;
    if let Some(value) = shape.peek(&output) {
        from_return(value, &mut owed.keys);
    }
    if !owed.only_ok || shape.succeeded(&output) {
        owed.settle().await;
    }
    output
}

/// An invalidation that is owed from before the body runs until it has been delivered or kept.
struct Owed {
    cache: Cache,
    transaction: Option<Arc<Transaction>>,
    keys: Keys,
    only_ok: bool,
    settled: bool,
}

impl Owed {
    fn new(spec: &'static WriterSpec, given: Option<Cache>, keys: Keys) -> Self {
        let transaction = cache::transaction();
        // Noted before the body runs: what the transaction reads after this must not come from the cache.
        let owed = Self {
            cache: cache::resolve(given),
            transaction,
            keys,
            only_ok: spec.is_only_ok(),
            settled: false,
        };
        if !owed.only_ok {
            owed.note();
        }
        owed
    }

    /// Leaves the keys to the transaction, if there is one and it has not ended.
    fn note(&self) -> bool {
        let transaction = self.transaction.as_ref();
        transaction.is_some_and(|transaction| transaction.note(&self.cache, self.keys.as_slice()))
    }

    async fn settle(mut self) {
        // From here on a drop is the backend guard's affair.
        self.settled = true;
        self.keys.dedup();
        if !self.note() {
            report(self.cache.inner.invalidate(self.keys.as_slice()).await);
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.settled || self.only_ok {
            return;
        }
        if self.note() {
            return;
        }
        let (cache, keys) = (self.cache.clone(), self.keys.clone());
        Inner::detached(async move {
            report(cache.inner.invalidate(keys.as_slice()).await);
        });
    }
}

/// A writer's caller is not told: its write is done, and the invalidation will be.
pub(super) fn report(delivery: Delivery) {
    if let Delivery::Kept(error) = delivery {
        tracing::debug!(%error, "invalidation kept until the backend is back");
    }
}

/// How a strict writer says that its write was refused. Asked for on its own, so that a type which cannot say it is reported
/// at the writer's return type.
pub fn refusal<S>(_: &S) -> fn(Error) -> S::Error
where
    S: Shape,
    S::Error: StrictError,
{
    S::Error::from
}

/// Announces the write, runs the body, and ends the write; refuses to run the body if it cannot be announced.
///
/// A body that panics or is dropped may still be committed by the database later. Its intent is left to expire, and until
/// then readers bypass the cache.
pub async fn write_strict<S, F>(
    _: &'static WriterSpec,
    given: Option<Cache>,
    mut keys: Keys,
    shape: S,
    refuse: fn(Error) -> S::Error,
    body: F,
) -> S::Output
where
    S: Shape,
    F: Future<Output = S::Output>,
{
    let cache = cache::resolve(given);
    keys.dedup();
    let transaction = cache::transaction();
    let intents = match announce(&cache, &keys).await {
        Ok(intents) => intents,
        Err(error) => return shape.failed(refuse(error)),
    };
    let mut guard = InvalidateUnlessEnded {
        cache: &cache,
        keys: &keys,
        ended: false,
    };
    if let Some(transaction) = &transaction {
        transaction.note(&cache, keys.as_slice());
    }
    let output = race::beside(body, renew(&intents)).await;
    // Handed over after the body, which has renewed them until now; a transaction that has ended by then takes nothing.
    if !transaction.is_some_and(|transaction| transaction.hold(&intents)) {
        end(&intents).await;
    }
    guard.ended = true;
    output
}

async fn announce(cache: &Cache, keys: &Keys) -> Result<Vec<Intent>, Error> {
    let inner = &cache.inner;
    inner.epochs.advance(keys.as_slice());
    let mut placed = Placed(Vec::with_capacity(keys.as_slice().len()));
    for key in keys.as_slice() {
        let token = Token::fresh();
        placed.0.push(Intent {
            cache: cache.clone(),
            key: key.clone(),
            token,
        });
        let ttl = inner.settings.intent_ttl;
        // Each with a time of its own: a healthy backend needs longer for many keys than for one.
        let mut budget = inner.guarded.budget();
        let announced = inner.guarded.begin_write(key, token, ttl, &mut budget);
        announced.await.map_err(Error::Refused)?;
    }
    Ok(std::mem::take(&mut placed.0))
}

/// Intents of a write whose body may yet not run: it is refused, or its caller is dropped. They would expire by themselves, one that
/// arrives late too; ending them sooner is a kindness to the readers.
struct Placed(Vec<Intent>);

impl Drop for Placed {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            let intents = std::mem::take(&mut self.0);
            Inner::detached(async move { end(&intents).await });
        }
    }
}

/// Ends writes. Where that cannot be told to the backend an invalidation is kept, and the intent expires by itself.
pub(super) async fn end(intents: &[Intent]) {
    for intent in intents {
        let inner = &intent.cache.inner;
        inner.epochs.advance(std::slice::from_ref(&intent.key));
        if inner
            .guarded
            .end_write(&intent.key, intent.token)
            .await
            .is_err()
        {
            report(
                inner
                    .guarded
                    .invalidate(std::slice::from_ref(&intent.key))
                    .await,
            );
        }
    }
}

/// Renews intents for as long as it is polled.
pub(super) async fn renew(intents: &[Intent]) {
    let Some(first) = intents.first() else { return };
    let period = first.cache.inner.settings.intent_ttl / 3;
    loop {
        first.cache.inner.clock.sleep(period).await;
        for intent in intents {
            let inner = &intent.cache.inner;
            let _ = inner
                .guarded
                .renew_write(&intent.key, intent.token, inner.settings.intent_ttl)
                .await;
        }
    }
}

/// A strict body that did not come to its end: the value goes, the intent stays until it expires.
struct InvalidateUnlessEnded<'a> {
    cache: &'a Cache,
    keys: &'a Keys,
    ended: bool,
}

impl Drop for InvalidateUnlessEnded<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let (cache, keys) = (self.cache.clone(), self.keys.clone());
            Inner::detached(async move {
                report(cache.inner.invalidate(keys.as_slice()).await);
            });
        }
    }
}
