//! What every call begins with: the look-up, and the answer to a hit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backend::{LeaseMode, Life, Mark, SharedValue, Stored, Typed};
use crate::cache::{self, Cache, Current, Place};
use crate::error::BackendError;
use crate::invalidation::transaction::Transaction;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::observe::Count;
use crate::pattern::aside::Call;
use crate::pattern::background::Refresh;
use crate::pattern::entries::{self, CacheValue, NoValue};
use crate::pattern::known::Known;
use crate::pattern::loading::{Held, Loading, StandIn};
use crate::pattern::read_through::ahead;
use crate::shape::Shape;
use crate::spec::Spec;
use crate::stampede::refresh::Turn;
use crate::stampede::stale::{self, Freshness};

/// What the runtime answers to a call: the result, or the order to load it.
#[derive(Debug)]
pub enum Answer<S: Shape> {
    /// The call's result is in this process.
    Hit(Hit<S>),
    /// The call's result.
    Ready(S::Output),
    /// The call's result, and the order to replace it in the background.
    Due(S::Output, Box<Refresh<S>>),
    /// The caller runs its body under this. In a box, so that a hit does not carry its size about.
    Load(Box<Loading<S>>),
    /// There was no result within this time.
    Late(Duration),
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
    /// Gives the value back if it is not one of this function's.
    fn new(shape: S, shared: SharedValue) -> Result<Self, SharedValue> {
        if shape.fits(&shared) || shared.is::<NoValue>() && shape.absent().is_some() {
            Ok(Self { shape, shared })
        } else {
            Err(shared)
        }
    }

    /// The call's result.
    #[must_use]
    #[inline]
    pub fn output(self) -> S::Output {
        let value = self.shape.hand_out(self.shared);
        match value.map_or_else(
            || self.shape.absent(),
            |value| Some(self.shape.value(value)),
        ) {
            Some(output) => output,
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
    read_tagged(spec, given, key, shape, &Known::new)
}

/// As [`read`], of a function with tags: `known` tells them. It is called only where the answer is not in this process, and before this returns.
#[inline]
pub fn read_tagged<S>(
    spec: &'static Spec,
    given: Option<Cache>,
    key: &Key,
    shape: S,
    known: &dyn Fn() -> Known,
) -> impl Future<Output = Answer<S>> + use<S>
where
    S: Shape,
    S::Value: CacheValue,
{
    let Place {
        cache,
        transaction,
        refresh,
        warming,
    } = cache::place(Some(spec));
    let cache = given.map_or(cache, Current::Own);
    if let Some(accesses) = &cache.inner.accesses
        && !(refresh || warming)
    {
        accesses.saw(key, &cache.inner.clock);
    }
    let mut seen = Seen::NotAsked;
    if refresh {
        seen = Seen::ToBeRefreshed;
    } else if transaction.is_none()
        && let Some(local) = cache.inner.guarded.get_now(key)
    {
        match local {
            None => seen = Seen::Nothing,
            Some(Stored::Typed(typed)) => match stale::judge(spec, &cache.inner, &typed.life) {
                freshness @ (Freshness::Fresh | Freshness::Watched) => {
                    if freshness == Freshness::Watched {
                        ahead::read_here(&cache, spec, key, &typed.life);
                    }
                    let function = cache.inner.functions.of(spec);
                    match Hit::new(shape, typed.value) {
                        Ok(hit) => {
                            function.counters.one(Count::Hits);
                            return Reading::Now(Some(Answer::Hit(hit)));
                        }
                        Err(value) => {
                            function.counters.one(Count::Unreadable);
                            let typed = Typed::new(value, typed.life);
                            seen = Seen::Unusable(Stored::Typed(typed).mark());
                        }
                    }
                }
                freshness => match old(spec, &cache, key, shape, typed, freshness) {
                    Ok((hit, None)) => return Reading::Now(Some(Answer::Hit(hit))),
                    Ok((hit, Some((mark, life, turn)))) => {
                        let cache = Cache::clone(&cache);
                        let call = (cache, spec, key.clone(), known(), shape);
                        let refresh = Refresh::new(call, mark, &life, turn);
                        let answer = Answer::Due(hit.output(), Box::new(refresh));
                        return Reading::Now(Some(answer));
                    }
                    Err(stored) => seen = Seen::Aged(stored, freshness),
                },
            },
            // Bytes in this process are read where other bytes are.
            Some(Stored::Encoded(_)) => {}
        }
    }
    Reading::Later(Box::pin(later(
        cache,
        transaction,
        spec,
        key.clone(),
        known(),
        shape,
        seen,
    )))
}

/// What is to be replaced, and whose turn it is.
type ToReplace = (Mark, Life, Turn);

/// A value of this process that is not fresh: answered here if that takes no waiting.
#[cold]
fn old<S>(
    spec: &'static Spec,
    cache: &Current,
    key: &Key,
    shape: S,
    typed: Typed,
    freshness: Freshness,
) -> Result<(Hit<S>, Option<ToReplace>), Stored>
where
    S: Shape,
    S::Value: CacheValue,
{
    let inner = &cache.inner;
    if freshness != Freshness::Old {
        return Err(Stored::Typed(typed));
    }
    let mark = Stored::Typed(typed.clone()).mark();
    let Typed { value, life, .. } = typed;
    let hit = match Hit::new(shape, value) {
        Ok(hit) => hit,
        Err(value) => return Err(Stored::Typed(Typed::new(value, life))),
    };
    if spec.refreshes_ahead() {
        inner.ahead.saw(key);
    }
    let counters = &inner.functions.of(spec).counters;
    counters.one(Count::Hits);
    counters.one(Count::StaleHits);
    let turn = inner.refreshes.begin(key, &inner.clock);
    Ok((hit, turn.map(|turn| (mark, life, turn))))
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
        // Not for a function that borrows: its arguments end with the call. The macros see to it that none asks for these.
        Answer::Due(output, _) => output,
        Answer::Late(limit) => {
            unreachable!("a function without a timeout ran into one of {limit:?}")
        }
    }
}

/// The answer, or the future of it.
enum Reading<S: Shape, F> {
    Now(Option<Answer<S>>),
    Later(Pin<Box<F>>),
}

// Nothing in it is pinned but what is behind its own box.
impl<S: Shape, F> Unpin for Reading<S, F> {}

impl<S: Shape, F: Future<Output = Answer<S>>> Future for Reading<S, F> {
    type Output = Answer<S>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<S>> {
        match self.get_mut() {
            Self::Now(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Self::Later(future) => future.as_mut().poll(cx),
        }
    }
}

/// What a look into this process found.
enum Seen {
    /// The answer is elsewhere.
    NotAsked,
    Nothing,
    /// A value of another type.
    Unusable(Mark),
    /// A value that is not fresh.
    Aged(Stored, Freshness),
    /// Whatever there is, it is to be replaced.
    ToBeRefreshed,
}

/// Goes on where the look into this process ended: with the remote value, or the miss. A hit ends here, so what only a miss needs is
/// made, and the cache's handle counted, after it.
async fn later<S>(
    cache: Current,
    transaction: Option<Arc<Transaction>>,
    spec: &'static Spec,
    key: Key,
    known: Known,
    shape: S,
    seen: Seen,
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
    let (mut mode, mut stored) = (LeaseMode::IfMissing, None);
    match seen {
        Seen::Nothing => {}
        Seen::Unusable(mark) => mode = LeaseMode::IfStill(mark),
        Seen::ToBeRefreshed => mode = LeaseMode::Refresh,
        Seen::Aged(here, freshness) => stored = Some((here, Some(freshness))),
        Seen::NotAsked if noted => {}
        Seen::NotAsked => match inner
            .guarded
            .get(&key, known.tags().as_slice(), &mut budget)
            .await
        {
            Ok(found) => stored = found.map(|found| (found, None)),
            Err(error) => away = Some(error),
        },
    }
    let mut stand_in = None;
    let mut drawn = false;
    if let Some((stored, freshness)) = stored {
        let function = inner.functions.of(spec);
        let mark = stored.mark();
        mode = LeaseMode::IfStill(mark);
        let here = freshness.is_some();
        if let Some(found) = entries::read(shape, function, stored) {
            if spec.refreshes_ahead() && !found.life.is_expired() {
                if !here {
                    ahead::meet(&cache, spec, &key, &found.life);
                }
                inner.ahead.saw(&key);
            }
            match freshness.unwrap_or_else(|| stale::judge(spec, inner, &found.life)) {
                Freshness::Old if transaction.is_none() => {
                    function.counters.one(Count::Hits);
                    function.counters.one(Count::StaleHits);
                    let life = found.life;
                    let output = found.output(shape);
                    let Some(turn) = inner.refreshes.begin(&key, &inner.clock) else {
                        return Answer::Ready(output);
                    };
                    let cache = cache.into_owned();
                    let call = (cache, spec, key, known, shape);
                    let refresh = Refresh::new(call, mark, &life, turn);
                    return Answer::Due(output, Box::new(refresh));
                }
                Freshness::Drawn if transaction.is_none() => {
                    drawn = true;
                    stand_in = Some(StandIn::new(found, &inner.clock));
                }
                Freshness::Expired => stand_in = Some(StandIn::new(found, &inner.clock)),
                Freshness::Fresh | Freshness::Watched | Freshness::Old | Freshness::Drawn => {
                    function.counters.one(Count::Hits);
                    return Answer::Ready(found.output(shape));
                }
            }
        }
    }
    // In a box of its own, so that a remote hit does not allocate for it.
    Box::pin(missed(
        Call::new(cache.into_owned(), spec, key, known, shape, mode, budget),
        stand_in,
        transaction.is_some(),
        drawn,
        away,
    ))
    .await
}

/// Goes on where the look-up ended without an answer.
async fn missed<S>(
    mut call: Call<S>,
    stand_in: Option<StandIn<S::Value>>,
    in_transaction: bool,
    drawn: bool,
    away: Option<BackendError>,
) -> Answer<S>
where
    S: Shape,
    S::Value: CacheValue,
{
    call.stand_in = stand_in;
    // What a transaction reads is true for it alone: rows it has not committed, or a snapshot that others have left behind. And a call
    // from inside the load of its own key cannot wait for that.
    if in_transaction && !mutants::on(Mutant::TransactionLoadsStored)
        || cache::is_loading(&call.cache, &call.key)
    {
        call.alone = true;
        return call.lead(Held::Nothing);
    }
    if drawn {
        return call.early().await;
    }
    call.miss_in_time(away).await
}
