//! A load under way: who may store what it finds, and who waits for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::backend::Token;
use crate::cache::{Cache, Inner};
use crate::error::{BackendError, BackendErrorKind};
use crate::key::Key;
use crate::observe::Count;
use crate::pattern::aside::{Asked, Call};
use crate::pattern::entries::{self, CacheValue};
use crate::race;
use crate::shape::{Outcome, Shape};
use crate::spec::{Consistency, Spec};
use crate::stampede::flight::{Join, Landing, Seat, Told};

/// The place of whoever loads.
pub(crate) type LoadSeat = Seat<Join, Landing>;

/// What a caller holds while it loads.
#[derive(Debug)]
pub(crate) enum Held {
    /// The lease, so that it may store, and the flight that others of this process join.
    Lease { lease: GrantedLease, seat: LoadSeat },
    /// A flight without the right to store.
    Seat(LoadSeat),
    /// Neither: it loads for itself.
    Nothing,
}

/// The order to load: [`run`](Self::run) it with the function's body.
///
/// Dropped instead, or while it runs, it gives up its lease and wakes those who wait.
pub struct Loading<S> {
    cache: Cache,
    spec: &'static Spec,
    key: Key,
    shape: S,
    held: Held,
}

impl<S> fmt::Debug for Loading<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading")
            .field("key", &self.key)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl<S> Loading<S>
where
    S: Shape,
    S::Value: CacheValue,
{
    pub(crate) fn new(call: Call<S>, held: Held) -> Self {
        Self {
            cache: call.cache,
            spec: call.spec,
            key: call.key,
            shape: call.shape,
            held,
        }
    }

    /// Runs the body, stores what it found if that is still allowed, and lets those who wait have it.
    ///
    /// The body is borrowed and what follows it is boxed, so that a function which calls itself, or many that call each other,
    /// need little more stack than without a cache.
    pub async fn run(
        self: Box<Self>,
        body: Pin<&mut impl Future<Output = S::Output>>,
    ) -> S::Output {
        let inner = &*self.cache.inner;
        let counters = &inner.functions.of(self.spec).counters;
        counters.one(Count::Loads);
        let began = inner.clock.now();
        let output = match &self.held {
            // While it runs the lease is renewed: the lease's expiry bounds a crash, not a slow load.
            Held::Lease { lease, .. } => {
                let renewals = Box::pin(renew(&self.cache, &self.key, lease.token));
                race::beside(body, renewals).await
            }
            Held::Seat(_) | Held::Nothing => body.await,
        };
        let load_time = inner.clock.now().since(began);
        let micros = u64::try_from(load_time.as_micros()).unwrap_or(u64::MAX);
        counters.add(Count::LoadMicros, micros);
        Box::pin(self.end(output, load_time)).await
    }

    async fn end(self: Box<Self>, output: S::Output, load_time: Duration) -> S::Output {
        match self.shape.open(output) {
            Outcome::Value(value) => self.found(value, load_time).await,
            Outcome::Absent => {
                self.held.end(|| Landing::Absent).await;
                // Only a shape that can say "there is none" opens to `Absent`, so this always has one to return.
                match self.shape.absent() {
                    Some(output) => output,
                    None => unreachable!("a shape without `None` opened to one"),
                }
            }
            Outcome::Failed(error) => {
                let inner = &self.cache.inner;
                inner
                    .functions
                    .of(self.spec)
                    .counters
                    .one(Count::LoadErrors);
                let share = || {
                    self.shape
                        .share(&error)
                        .map_or(Landing::Failed, Landing::Error)
                };
                self.held.end(share).await;
                self.shape.failed(error)
            }
        }
    }

    /// Stores first and wakes then: a waiter that looks for itself finds the value.
    async fn found(self: Box<Self>, value: S::Value, load_time: Duration) -> S::Output {
        let seat = match self.held {
            Held::Lease { lease, seat } => {
                let inner = &self.cache.inner;
                store(
                    inner, self.spec, self.shape, &self.key, lease, &value, load_time,
                )
                .await;
                Some(seat)
            }
            Held::Seat(seat) => Some(seat),
            Held::Nothing => None,
        };
        if let Some(seat) = seat {
            seat.land_for_others(|| Landing::Value(self.shape.keep(value.clone())));
        }
        self.shape.value(value)
    }
}

impl Held {
    /// Ends a load that has nothing to store: the lease first, so that the next caller finds it free.
    async fn end(self, landing: impl FnOnce() -> Landing) {
        match self {
            Self::Lease { lease, seat } => {
                lease.release().await;
                seat.land_for_others(landing);
            }
            Self::Seat(seat) => seat.land_for_others(landing),
            Self::Nothing => {}
        }
    }
}

async fn store<S>(
    inner: &Inner,
    spec: &'static Spec,
    shape: S,
    key: &Key,
    lease: GrantedLease,
    value: &S::Value,
    load_time: Duration,
) where
    S: Shape,
    S::Value: CacheValue,
{
    let function = inner.functions.of(spec);
    let ttl = spec.ttl().unwrap_or(inner.settings.default_ttl);
    let Some(stored) = entries::write(shape, inner, function, value, load_time, ttl) else {
        return lease.release().await;
    };
    let answer = match spec.consistency_level() {
        Consistency::Eventual => inner.guarded.put(key, stored, ttl).await,
        Consistency::Fenced | Consistency::Strict => {
            inner.guarded.fill(key, lease.token, stored, ttl).await
        }
    };
    match answer {
        Ok(stored) => {
            lease.ended();
            if !stored {
                function.counters.one(Count::RejectedFills);
            }
        }
        Err(error) => {
            function.counters.one(Count::Errors);
            tracing::debug!(function = spec.name(), %key, %error, "result not stored");
        }
    }
}

/// Renews the lease for as long as it stands.
async fn renew(cache: &Cache, key: &Key, token: Token) {
    let inner = &cache.inner;
    let ttl = inner.settings.lease_ttl;
    loop {
        inner.clock.sleep(ttl / 3).await;
        if let Ok(false) = inner.guarded.renew(key, token, ttl).await {
            return;
        }
    }
}

/// A lease that has been asked for: a caller that is dropped before the answer comes may hold it.
#[derive(Debug)]
pub(crate) struct PendingLease(GrantedLease);

impl PendingLease {
    pub(crate) fn new(cache: &Cache, key: &Key, token: Token) -> Self {
        Self(GrantedLease {
            cache: cache.clone(),
            key: key.clone(),
            token,
            stands: true,
        })
    }

    pub(crate) fn granted(self) -> GrantedLease {
        self.0
    }

    pub(crate) fn not_granted(self, told: Told) -> Asked {
        self.0.ended();
        Asked::Told(told)
    }

    /// After an error: a request that timed out may still be carried out, so its lease is given back; one that never left is not.
    pub(crate) fn drop_after(self, error: &BackendError) {
        if error.kind() != BackendErrorKind::Timeout {
            self.0.ended();
        }
    }
}

/// A lease that is held. Dropped without another word, as by a panic or a cancelled call, it is released in the background.
#[derive(Debug)]
pub(crate) struct GrantedLease {
    cache: Cache,
    key: Key,
    token: Token,
    stands: bool,
}

impl GrantedLease {
    pub(crate) fn token(&self) -> Token {
        self.token
    }

    fn ended(mut self) {
        self.stands = false;
    }

    async fn release(mut self) {
        let answer = self
            .cache
            .inner
            .guarded
            .release(&self.key, self.token)
            .await;
        self.stands = answer.is_err_and(|error| error.kind() == BackendErrorKind::Timeout);
    }
}

impl Drop for GrantedLease {
    fn drop(&mut self) {
        if !self.stands {
            return;
        }
        let (cache, key, token) = (self.cache.clone(), self.key.clone(), self.token);
        Inner::detached(async move {
            // If this fails too, the lease ends by its expiry.
            let _ = cache.inner.guarded.release(&key, token).await;
        });
    }
}
