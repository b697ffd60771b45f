//! Write-through: the writer's body first, then what it wrote into the cache.

mod unannounced;
mod written;

use std::future::Future;
use std::pin::pin;
use std::slice;
use std::time::Duration;

use self::unannounced::Order;
use self::written::Written;
pub use self::written::{OfArgument, OfResult, RowVersion};
use crate::backend::{Stored, TagVersion, WriteEnd};
use crate::cache::{self, Cache};
use crate::error::{BackendError, Error};
use crate::invalidation::Keys;
use crate::invalidation::announced::Announced;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::observe::{Count, FunctionState};
use crate::pattern::entries;
use crate::pattern::known::Known;
use crate::shape::Shape;
use crate::spec::{Consistency, Spec};
use crate::stampede::stale;

/// Runs the body between a write intent and its end, which stores what was written unless another write overlapped. With `eventual` it is stored
/// whatever happens meanwhile.
pub async fn write_through<S, W, F>(
    spec: &'static Spec,
    given: Option<Cache>,
    (key, known): (Key, Known),
    shape: S,
    written: W,
    body: F,
) -> S::Output
where
    S: Shape,
    W: Written<S>,
    F: Future<Output = S::Output>,
{
    // Each of the futures around it would hold it once more.
    let body = pin!(body);
    let call = Call::new(spec, given, known, (shape, written));
    if spec.consistency_level() == Consistency::Eventual {
        let place = |_: &S::Value| (None, Order::Any);
        return call.run_unannounced(Some(key), place, body).await;
    }
    // It must not be stored before the commit, and after the commit it may not be the row.
    if call.is_left_to_transaction(&key) {
        return call.run_noted(key, body).await;
    }
    let mut write = Announced::new(&call.cache);
    let placed = write.announce(slice::from_ref(&key)).await;
    let output = write.run(call.run(body)).await;
    let value = match placed {
        Ok(since) => call.entry(&output, since),
        Err(error) => {
            call.failed(&key, &error);
            // It may still be placed, but perhaps after the commit, when a later write has come and gone: that it then stands alone does not show
            // that nobody overlapped.
            mutants::on(Mutant::UnconfirmedIntentStores)
                .then(|| call.entry(&output, None))
                .flatten()
        }
    };
    call.end(write, &key, value).await;
    output
}

/// As [`write_through`], and refuses to run the body if the intent cannot be placed.
pub async fn write_through_strict<S, W, F>(
    spec: &'static Spec,
    given: Option<Cache>,
    (key, known): (Key, Known),
    shape: S,
    written: W,
    refuse: fn(Error) -> S::Error,
    body: F,
) -> S::Output
where
    S: Shape,
    W: Written<S>,
    F: Future<Output = S::Output>,
{
    let body = pin!(body);
    let call = Call::new(spec, given, known, (shape, written));
    let mut write = Announced::new(&call.cache);
    let since = match write.announce(slice::from_ref(&key)).await {
        Ok(since) => since,
        Err(error) => return shape.failed(refuse(Error::Refused(error))),
    };
    let in_transaction = call.is_left_to_transaction(&key);
    let output = write.run(call.run(body)).await;
    if in_transaction {
        write.end(cache::transaction().as_deref()).await;
    } else {
        let value = call.entry(&output, since);
        call.end(write, &key, value).await;
    }
    output
}

/// Runs the body, and stores what was written if its version is newer than what was stored before.
///
/// `key` is known before the body runs, or else `place` tells it from the result, and the version always.
pub async fn write_through_versioned<S, W, F, P>(
    spec: &'static Spec,
    given: Option<Cache>,
    (key, known): (Option<Key>, Known),
    shape: S,
    written: W,
    place: P,
    body: F,
) -> S::Output
where
    S: Shape,
    W: Written<S>,
    F: Future<Output = S::Output>,
    P: FnOnce(&S::Value) -> (Option<Key>, u64),
{
    let body = pin!(body);
    let call = Call::new(spec, given, known, (shape, written));
    let place = |value: &S::Value| {
        let (key, version) = place(value);
        (key, Order::Version(version))
    };
    call.run_unannounced(key, place, body).await
}

/// A call of a writer.
struct Call<S, W> {
    cache: Cache,
    spec: &'static Spec,
    known: Known,
    shape: S,
    written: W,
}

impl<S, W> Call<S, W>
where
    S: Shape,
    W: Written<S>,
{
    fn new(
        spec: &'static Spec,
        given: Option<Cache>,
        known: Known,
        (shape, written): (S, W),
    ) -> Self {
        Self {
            cache: cache::resolve(given),
            spec,
            known,
            shape,
            written,
        }
    }

    fn function(&self) -> &FunctionState {
        self.cache.inner.functions.of(self.spec)
    }

    /// Runs the body, counted.
    async fn run<F: Future<Output = S::Output>>(&self, body: F) -> S::Output {
        self.function().counters.one(Count::Writes);
        let output = body.await;
        if !self.shape.succeeded(&output) {
            self.function().counters.one(Count::WriteErrors);
        }
        output
    }

    /// Leaves the key to be invalidated at the end of the transaction, if the call is in one.
    fn is_left_to_transaction(&self, key: &Key) -> bool {
        let transaction = cache::transaction();
        let keys = Keys::from_iter([key.clone()]);
        transaction.is_some_and(|transaction| transaction.note(&self.cache, &keys))
    }

    /// What is to be stored and how long it is kept; `None` if there is nothing to store, or it cannot be.
    fn entry(&self, output: &S::Output, since: Option<TagVersion>) -> Option<(Stored, Duration)> {
        let (inner, shape) = (&*self.cache.inner, self.written.shape());
        let value = Some(self.written.value(self.shape, output)?);
        // The time of the write says nothing of how long a load takes.
        let (life, keep) = stale::life_of(self.spec, inner, shape, value, Duration::ZERO)?;
        let basis = self.known.basis(shape, value, since);
        let stored = entries::write(shape, inner, self.function(), value, life, basis)?;
        Some((stored, keep))
    }

    /// Ends an announced write. The caller's result does not depend on it: the body has run.
    async fn end(&self, write: Announced, key: &Key, value: Option<(Stored, Duration)>) {
        let has_value = value.is_some();
        match write.end_with(value).await {
            Ok(WriteEnd::Overlapped) if has_value => {
                self.function().counters.one(Count::RejectedFills);
            }
            Ok(_) => {}
            Err(error) => self.failed(key, &error),
        }
    }

    fn failed(&self, key: &Key, error: &BackendError) {
        let function = self.function();
        function.counters.one(Count::Errors);
        tracing::debug!(function = self.spec.name(), %key, %error, "what was written is not stored");
    }
}
