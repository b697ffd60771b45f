//! Loads that outlive their call: what they borrow is made owned first.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use crate::backend::{LeaseMode, Life, Mark};
use crate::cache::{self, Cache, carry, carry_apart};
use crate::error::Error;
use crate::key::Key;
use crate::observe::Count;
use crate::pattern::aside::{Asked, Call};
use crate::pattern::entries::CacheValue;
use crate::pattern::known::Known;
use crate::pattern::loading::Loading;
use crate::pattern::read::{Answer, finish};
use crate::race;
use crate::shape::Shape;
use crate::spec::Spec;
use crate::stampede::flight::Told;
use crate::stampede::refresh::Turn;
use crate::sync::{Handle, spawn};
use crate::warm::witness::Sight;

/// A type whose borrow can be made owned, so that a load may go on after its call.
#[diagnostic::on_unimplemented(
    message = "a load in the background needs its arguments for itself, and `{Self}` cannot be copied for it",
    label = "cannot be made owned: not `Clone + Send + Sync + 'static`",
    note = "derive `Clone` for it, or take it as an `Arc`, or leave `stampede = \"swr\"` and `timeout` out"
)]
pub trait InBackground: ToOwned {}

impl<T> InBackground for T where T: ToOwned<Owned: Send + Sync + 'static> + ?Sized {}

/// A copy that the load can keep.
pub fn own<T: InBackground + ?Sized>(borrowed: &T) -> T::Owned {
    borrowed.to_owned()
}

/// The copy, as the body borrows it.
pub fn lend<B: ?Sized, O: Borrow<B>>(owned: &O) -> &B {
    owned.borrow()
}

/// An argument that a batch loader needs for each of its loads.
#[diagnostic::on_unimplemented(
    message = "a batch loader may run its body more than once, and `{Self}` cannot be copied for that",
    label = "not `Clone`",
    note = "take it by reference, or derive `Clone` for it"
)]
pub trait Again: Sized {
    /// A copy.
    fn again(&self) -> Self;
}

impl<T: Clone> Again for T {
    fn again(&self) -> T {
        self.clone()
    }
}

/// A copy for one more run of the body.
pub fn again<T: Again>(argument: &T) -> T {
    argument.again()
}

/// An error type that can say that a load took too long.
#[diagnostic::on_unimplemented(
    message = "`timeout` needs a `Result` whose error can hold the cache's: `{Self}` cannot be made from `cache_runtime::Error`",
    label = "needs `From<cache_runtime::Error>`; `Infallible` is said of a function that returns no `Result`",
    note = "past its time a call returns `Error::Timeout`; return `Result<_, E>` with `impl From<cache_runtime::Error> for E`"
)]
pub trait TimeoutError: From<Error> {}

impl<E: From<Error>> TimeoutError for E {}

/// How a call says that its load took too long.
pub struct Late<S: Shape> {
    shape: S,
    error: fn(Error) -> S::Error,
}

impl<S: Shape> fmt::Debug for Late<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Late")
    }
}

impl<S: Shape> Late<S> {
    pub(super) fn output(self, limit: Duration) -> S::Output {
        self.shape.failed((self.error)(Error::Timeout(limit)))
    }
}

/// How a call says that its load took too long. Asked for on its own, so that a type which cannot say it is reported at the
/// function's return type.
pub fn late<S: Shape>(shape: &S) -> Late<S>
where
    S::Error: TimeoutError,
{
    Late {
        shape: *shape,
        error: S::Error::from,
    }
}

/// So many times its `timeout` a load in the background may take before it is given up: a loader that hangs must not keep its key for
/// ever. Without a `timeout` it is the lease's time that counts, or the time for which the old value can be served if a call has begun it.
const GIVEN_UP_AFTER: u32 = 10;

/// The order to replace an entry while its value is served.
///
/// Dropped instead, it counts as failed and is tried again after a pause.
pub struct Refresh<S: Shape> {
    call: Call<S>,
    turn: Turn,
    /// For how long the old value can be served yet.
    left: Duration,
}

impl<S: Shape> fmt::Debug for Refresh<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").finish_non_exhaustive()
    }
}

impl<S> Refresh<S>
where
    S: Shape,
    S::Value: CacheValue,
{
    pub(super) fn new(
        (cache, spec, key, known, shape): (Cache, &'static Spec, Key, Known, S),
        old: Mark,
        life: &Life,
        turn: Turn,
    ) -> Self {
        let budget = cache.inner.guarded.budget();
        let mode = LeaseMode::IfStill(old);
        let call = Call::new(cache, spec, key, known, shape, mode, budget);
        let left = life.ttl().saturating_sub(life.age());
        Self { call, turn, left }
    }

    /// The cache whose entry it is.
    pub(super) fn cache(&self) -> &Cache {
        &self.call.cache
    }

    /// As one that no call has begun. However long the old value can be served, a loader that hangs is given up, as it takes a place that
    /// other entries need.
    pub(super) fn ahead(mut self) -> Self {
        self.left = Duration::ZERO;
        self
    }

    /// As [`run`](Self::run), for no longer than a load may take that nobody waits for.
    pub(super) async fn run_in_time(self, body: impl Future<Output = S::Output>) {
        let inner = &self.call.cache.inner;
        let clock = inner.clock.clone();
        let own = self.call.spec.timeout();
        // Once the old value is gone callers wait for this: they must not wait for ever.
        let least = own.unwrap_or(inner.settings.lease_ttl) * GIVEN_UP_AFTER;
        let limit = own.map_or(self.left.max(least), |_| least);
        let work = Box::pin(self.run(body));
        race::within(work, clock.sleep(limit)).await;
    }

    /// Loads, if no other process does, and stores. Whatever comes of it, the old value stays where the new one does not come.
    async fn run(mut self, body: impl Future<Output = S::Output>) {
        match self.call.ask().await {
            Asked::Granted(held) => {
                let counters = &self.call.function().counters;
                counters.one(Count::Refreshes);
                let load = Box::new(Loading::new(self.call, held, Some(self.turn)));
                load.run(pin!(body)).await;
            }
            Asked::Told(Told::Hit(_)) => self.turn.done(),
            Asked::Told(_) => self.turn.elsewhere(),
        }
    }
}

/// Does what the answer says, the load of an entry that is to be replaced in the background.
pub async fn finish_in_background<S, B, F>(
    reading: impl Future<Output = Answer<S>>,
    body: B,
) -> S::Output
where
    S: Shape + Send + Sync + 'static,
    S::Output: Send,
    S::Error: Send,
    S::Value: CacheValue,
    B: FnOnce() -> F,
    F: Future<Output = S::Output> + Send + 'static,
{
    match reading.await {
        Answer::Due(output, refresh) => {
            replace(*refresh, body());
            output
        }
        Answer::Load(load) => load.run(pin!(body())).await,
        ready => finish(std::future::ready(ready), pin!(std::future::pending())).await,
    }
}

/// Does what the answer says, and waits for a load no longer than the function's `timeout`; the load goes on.
pub async fn finish_in_time<S, B, F>(
    reading: impl Future<Output = Answer<S>>,
    body: B,
    late: Late<S>,
) -> S::Output
where
    S: Shape + Send + Sync + 'static,
    S::Output: Send,
    S::Error: Send,
    S::Value: CacheValue,
    B: FnOnce() -> F,
    F: Future<Output = S::Output> + Send + 'static,
{
    match reading.await {
        Answer::Due(output, refresh) => {
            replace(*refresh, body());
            output
        }
        Answer::Late(limit) => late.output(limit),
        Answer::Load(load) => match load.run_in_time(body()).await {
            Ok(output) => output,
            Err(limit) => late.output(limit),
        },
        ready => finish(std::future::ready(ready), pin!(std::future::pending())).await,
    }
}

pub(super) fn replace<S, F>(refresh: Refresh<S>, body: F)
where
    S: Shape + Send + Sync + 'static,
    S::Output: Send,
    S::Error: Send,
    S::Value: CacheValue,
    F: Future<Output = S::Output> + Send + 'static,
{
    // Without a runtime there is no background: the turn counts as failed.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(carry_apart(refresh.run_in_time(body)));
    }
}

impl<S> Loading<S>
where
    S: Shape + Send + Sync + 'static,
    S::Output: Send,
    S::Error: Send,
    S::Value: CacheValue,
{
    /// Runs the body in a task of its own and waits for it until the call's time is over. Then a value that may stand in is the
    /// result, or the limit is the error.
    pub(super) async fn run_in_time<F>(self: Box<Self>, body: F) -> Result<S::Output, Duration>
    where
        F: Future<Output = S::Output> + Send + 'static,
    {
        let Some(limit) = self.spec.timeout() else {
            return Ok(self.run(pin!(body)).await);
        };
        let (cache, spec, shape) = (self.cache.clone(), self.spec, self.shape);
        let clock = &cache.inner.clock;
        let left = match self.deadline {
            Some(deadline) => deadline.since(clock.now()),
            None => limit,
        };
        let stand_in = self.stand_in.clone();
        // In a transaction nobody else could use the result, and the rows may be locked by it.
        let output = if self.alone {
            let work = Box::pin(async move { self.run(pin!(body)).await });
            race::within(work, clock.sleep(left)).await
        } else {
            let far = clock.clone();
            let task = spawn(carry(async move {
                let work = Box::pin(async move { self.run(pin!(body)).await });
                race::within(work, far.sleep(limit * GIVEN_UP_AFTER)).await
            }));
            match race::within(task, clock.sleep(left)).await {
                Some(Ok(output)) => output,
                Some(Err(ended)) if ended.is_panic() => {
                    std::panic::resume_unwind(ended.into_panic())
                }
                Some(Err(_)) | None => None,
            }
        };
        if let Some(output) = output {
            return Ok(output);
        }
        cache.inner.functions.of(spec).counters.one(Count::Timeouts);
        cache::saw(Sight::Timeout);
        let stand_in = stand_in.and_then(|found| found.output(&cache.inner, spec, shape));
        stand_in.ok_or(limit)
    }
}
