//! What every call begins with: the look-up, and the answer to a hit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::backend::{SharedValue, Stored};
use crate::cache::{self, Cache, Current, Place};
use crate::invalidation::transaction::Transaction;
use crate::key::Key;
use crate::observe::Count;
use crate::pattern::aside::Call;
use crate::pattern::entries::{self, CacheValue};
use crate::pattern::loading::{Held, Loading};
use crate::shape::Shape;
use crate::spec::Spec;

/// What the runtime answers to a call: the result, or the order to load it.
#[derive(Debug)]
pub enum Answer<S: Shape> {
    /// The call's result is in this process.
    Hit(Hit<S>),
    /// The call's result.
    Ready(S::Output),
    /// The caller runs its body under this. In a box, so that a hit does not carry its size about.
    Load(Box<Loading<S>>),
}

/// A value that is shared and that the caller takes its own copy of, at the very end: a value of some size is copied once, to where it is
/// returned, and not from hand to hand.
pub struct Hit<S> {
    shape: S,
    shared: SharedValue,
}

impl<S> fmt::Debug for Hit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hit")
    }
}

impl<S> Hit<S>
where
    S: Shape,
    S::Value: CacheValue,
{
    fn new(shape: S, shared: SharedValue) -> Option<Self> {
        shape.fits(&shared).then_some(Self { shape, shared })
    }

    /// The call's result.
    #[must_use]
    #[inline]
    pub fn output(self) -> S::Output {
        match self.shape.hand_out(self.shared) {
            Some(value) => self.shape.value(value),
            None => unreachable!("what fits can be handed out"),
        }
    }
}

/// Looks the key up and, on a miss, finds out who loads it.
///
/// A hit in this process is answered before the future is first polled, and the future is then no more than the answer. The key is
/// borrowed for the same reason: a hit moves neither its key, whose bytes were written a moment ago, nor the state of a miss.
#[inline]
pub fn read<S>(
    spec: &'static Spec,
    given: Option<Cache>,
    key: &Key,
    shape: S,
) -> impl Future<Output = Answer<S>> + use<S>
where
    S: Shape,
    S::Value: CacheValue,
{
    let Place {
        cache,
        transaction,
        refresh,
    } = cache::place(Some(spec));
    let cache = given.map_or(cache, Current::Own);
    let mut seen = Seen::NotAsked;
    if refresh {
        seen = Seen::Unusable;
    } else if transaction.is_none()
        && let Some(local) = cache.inner.guarded.get_now(key)
    {
        seen = Seen::Nothing;
        if let Some(stored) = local {
            let function = cache.inner.functions.of(spec);
            match stored {
                Stored::Typed(typed) => {
                    if let Some(hit) = Hit::new(shape, typed.value) {
                        function.counters.one(Count::Hits);
                        return Reading::Now(Some(hit));
                    }
                    function.counters.one(Count::Unreadable);
                    seen = Seen::Unusable;
                }
                // Bytes in this process are read where other bytes are.
                Stored::Encoded(_) => seen = Seen::NotAsked,
            }
        }
    }
    Reading::Later(Box::pin(later(
        cache,
        transaction,
        spec,
        key.clone(),
        shape,
        seen,
    )))
}

/// Does what the answer says: hands the result on, or runs the body for it.
///
/// The body is borrowed, so that a function which is called in a loop of others needs little more stack than without a cache, and it
/// is made after the look-up, so that the key has been written before the body takes the arguments.
#[inline]
pub async fn finish<S, F>(reading: impl Future<Output = Answer<S>>, body: Pin<&mut F>) -> S::Output
where
    S: Shape,
    S::Value: CacheValue,
    F: Future<Output = S::Output>,
{
    match reading.await {
        Answer::Hit(hit) => hit.output(),
        Answer::Ready(output) => output,
        Answer::Load(load) => load.run(body).await,
    }
}

/// The answer, or the future of it.
enum Reading<S, F> {
    Now(Option<Hit<S>>),
    Later(Pin<Box<F>>),
}

// Nothing in it is pinned but what is behind its own box.
impl<S, F> Unpin for Reading<S, F> {}

impl<S: Shape, F: Future<Output = Answer<S>>> Future for Reading<S, F> {
    type Output = Answer<S>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<S>> {
        match self.get_mut() {
            Self::Now(hit) => hit
                .take()
                .map_or(Poll::Pending, |hit| Poll::Ready(Answer::Hit(hit))),
            Self::Later(future) => future.as_mut().poll(cx),
        }
    }
}

/// What a look into this process found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The answer is elsewhere.
    NotAsked,
    Nothing,
    /// A value that is not to be used: of another type, or to be refreshed.
    Unusable,
}

/// Goes on where the look into this process ended: with the remote value, or the miss. A hit ends here, so what only a miss needs is
/// made, and the cache's handle counted, after it.
async fn later<S>(
    cache: Current,
    transaction: Option<Arc<Transaction>>,
    spec: &'static Spec,
    key: Key,
    shape: S,
    mut seen: Seen,
) -> Answer<S>
where
    S: Shape,
    S::Value: CacheValue,
{
    let inner = &cache.inner;
    let mut away = None;
    let mut budget = inner.guarded.budget();
    let noted = transaction
        .as_ref()
        .is_some_and(|transaction| transaction.has_noted(&cache, &key));
    if seen == Seen::NotAsked && !noted {
        match inner.guarded.get(&key, &mut budget).await {
            Ok(None) => {}
            Ok(Some(stored)) => {
                let function = inner.functions.of(spec);
                if let Some(value) = entries::read(shape, function, stored) {
                    function.counters.one(Count::Hits);
                    return Answer::Ready(shape.value(value));
                }
                seen = Seen::Unusable;
            }
            Err(error) => away = Some(error),
        }
    }
    let call = Call::new(cache.into_owned(), spec, key, shape, seen, budget);
    if transaction.is_some() {
        // What a transaction reads is true for it alone: rows it has not committed, or a snapshot that others have left behind.
        return call.lead(Held::Nothing);
    }
    // In a box of its own, so that a remote hit does not allocate for it.
    Box::pin(call.miss(away)).await
}
