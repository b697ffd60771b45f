//! A load under way: who may store what it finds, and who waits for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::backend::{LeaseMode, Life, Stored, Token, Versions};
use crate::cache::{self, Cache, Inner};
use crate::clock::{Clock, Moment};
use crate::error::{BackendError, BackendErrorKind};
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::observe::Count;
use crate::pattern::aside::{Asked, Call};
use crate::pattern::entries::{self, CacheValue, Found};
use crate::pattern::known::Known;
use crate::pattern::read_through::ahead;
use crate::race;
use crate::shape::{Outcome, Shape};
use crate::spec::{Consistency, Spec};
use crate::stampede::flight::{Join, Landing, Seat, Standing, Told};
use crate::stampede::refresh::Turn;
use crate::stampede::stale;
use crate::warm::witness::Sight;

/// The place of whoever loads.
pub(crate) type LoadSeat = Seat<Join, Landing>;

/// What a caller holds while it loads.
#[derive(Debug)]
pub(crate) enum Held {
    /// The lease, so that it may store, and the flight that others of this process join.
    Lease {
        lease: GrantedLease,
        /// What the backend said of the tags when it granted the lease.
        versions: Versions,
        seat: LoadSeat,
    },
    /// A flight without the right to store; what the backend said of the tags, if the flight is named after its answer.
    Seat(LoadSeat, Option<Versions>),
    /// Neither: it loads for itself.
    Nothing,
}

/// The order to load: [`run`](Self::run) it with the function's body.
///
/// Dropped instead, or while it runs, it gives up its lease and wakes those who wait.
pub struct Loading<S: Shape> {
    pub(super) cache: Cache,
    pub(super) spec: &'static Spec,
    key: Key,
    known: Known,
    pub(super) shape: S,
    held: Held,
    /// Whether there is a value that this load is to replace.
    replaces: bool,
    pub(super) stand_in: Option<StandIn<S::Value>>,
    turn: Option<Turn>,
    /// Until when the caller waits for it.
    pub(super) deadline: Option<Moment>,
    /// Whether what it loads is for its caller alone.
    pub(super) alone: bool,
}

/// A value in hand, for the case that the load fails.
#[derive(Debug, Clone)]
pub(crate) struct StandIn<V> {
    pub(crate) found: Found<V>,
    seen: Moment,
}

impl<V> StandIn<V> {
    pub(crate) fn new(found: Found<V>, clock: &Clock) -> Self {
        Self {
            found,
            seen: clock.now(),
        }
    }

    fn life_now(&self, clock: &Clock) -> Life {
        let mut life = self.found.life;
        life.age = life.age.saturating_add(clock.now().nanos_since(self.seen));
        life
    }

    /// Whether it is within its TTL still.
    pub(crate) fn is_fresh(&self, clock: &Clock) -> bool {
        !self.life_now(clock).is_expired()
    }

    /// Whether it is still good enough to be returned for a load that failed.
    pub(crate) fn may(&self, clock: &Clock, spec: &Spec) -> bool {
        stale::may_stand_in(spec, &self.life_now(clock))
    }

    /// What it says, if it is; counted, if it is past its TTL.
    pub(crate) fn found(self, inner: &Inner, spec: &'static Spec) -> Option<Found<V>> {
        if !self.may(&inner.clock, spec) {
            return None;
        }
        if !self.is_fresh(&inner.clock) {
            let counters = &inner.functions.of(spec).counters;
            counters.one(Count::StaleOnError);
        }
        Some(self.found)
    }

    /// The call's result, if it is; counted, if it is past its TTL.
    pub(crate) fn output<S>(self, inner: &Inner, spec: &'static Spec, shape: S) -> Option<S::Output>
    where
        S: Shape<Value = V>,
    {
        self.found(inner, spec).map(|found| found.output(shape))
    }
}

impl<S: Shape> fmt::Debug for Loading<S> {
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
    pub(crate) fn new(call: Call<S>, held: Held, turn: Option<Turn>) -> Self {
        Self {
            replaces: call.mode() != LeaseMode::IfMissing,
            stand_in: call.stand_in,
            turn,
            deadline: call.deadline,
            alone: call.alone,
            cache: call.cache,
            spec: call.spec,
            key: call.key,
            known: call.known,
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
        let body = cache::enter_load(&self.cache, vec![self.key.clone()], body);
        let output = match &self.held {
            // While it runs the lease is renewed: the lease's expiry bounds a crash, not a slow load.
            Held::Lease { lease, .. } => {
                let renewals = Box::pin(renew(&self.cache, &self.key, lease.token));
                race::beside(body, renewals).await
            }
            Held::Seat(..) | Held::Nothing => body.await,
        };
        let load_time = inner.clock.now().since(began);
        let micros = u64::try_from(load_time.as_micros()).unwrap_or(u64::MAX);
        counters.add(Count::LoadMicros, micros);
        Box::pin(self.end(output, load_time)).await
    }

    async fn end(mut self: Box<Self>, output: S::Output, load_time: Duration) -> S::Output {
        match self.shape.open(output) {
            Outcome::Value(value) => self.found(value, load_time).await,
            Outcome::Absent => {
                cache::saw(Sight::Absent);
                let shape = self.shape;
                if let Some((seat, standing)) = self.store(None, load_time).await {
                    seat.land_for_others(|| Landing::Absent(standing));
                }
                // Only a shape that can say "there is none" opens to `Absent`, so this always has one to return.
                match shape.absent() {
                    Some(output) => output,
                    None => unreachable!("a shape without `None` opened to one"),
                }
            }
            Outcome::Failed(error) => {
                let inner = &self.cache.inner;
                let counters = &inner.functions.of(self.spec).counters;
                counters.one(Count::LoadErrors);
                cache::saw(Sight::Failure);
                if let Some(seat) = self.held.give_up().await {
                    seat.land_for_others(|| {
                        let shared = self.shape.share(&error);
                        shared.map_or(Landing::Failed, Landing::Error)
                    });
                }
                let stand_in = self.stand_in.take();
                stand_in
                    .and_then(|found| found.output(inner, self.spec, self.shape))
                    .unwrap_or_else(|| self.shape.failed(error))
            }
        }
    }

    /// Stores first and wakes then: a waiter that looks for itself finds the value.
    async fn found(self: Box<Self>, value: S::Value, load_time: Duration) -> S::Output {
        cache::saw(Sight::Load);
        let shape = self.shape;
        #[cfg(mutants)]
        if mutants::on(Mutant::WokenBeforeStored)
            && let Held::Lease { seat, .. } = &self.held
        {
            seat.land_early(Landing::Value(shape.keep(value.clone()), Standing::Stored));
        }
        if let Some((seat, standing)) = self.store(Some(&value), load_time).await {
            seat.land_for_others(|| Landing::Value(shape.keep(value.clone()), standing));
        }
        shape.value(value)
    }

    /// Stores what was found, or takes away what it shows to be old; the seat is whose who wait, with which of them may have it.
    async fn store(
        self,
        value: Option<&S::Value>,
        load_time: Duration,
    ) -> Option<(LoadSeat, Standing)> {
        let inner = &*self.cache.inner;
        let standing = |versions: Option<Versions>| match versions {
            // What there is none of has no tags.
            Some(_) if value.is_some() && self.spec.has_tags_of_result() => Standing::Unknown,
            Some(versions) => Standing::Since(versions.now),
            None => Standing::Unknown,
        };
        let (lease, versions, seat) = match self.held {
            Held::Lease {
                lease,
                versions,
                seat,
            } => (lease, versions, seat),
            Held::Seat(seat, versions) => {
                cache::saw(Sight::NotStored);
                return Some((seat, standing(versions)));
            }
            Held::Nothing => {
                cache::saw(Sight::NotStored);
                return None;
            }
        };
        let mut standing = standing(Some(versions));
        let function = inner.functions.of(self.spec);
        let entry = stale::life_of(self.spec, inner, self.shape, value, load_time).and_then(
            |(life, keep)| {
                let since =
                    Some(versions.now).filter(|_| !mutants::on(Mutant::TagNumberTakenAfterLoad));
                let basis = self.known.basis(self.shape, value, since);
                let stored = entries::write(self.shape, inner, function, value, life, basis)?;
                Some((life, stored, keep))
            },
        );
        match entry {
            Some((life, stored, keep)) => {
                if fill(inner, self.spec, &self.key, lease, stored, keep).await {
                    standing = Standing::Stored;
                    if self.spec.refreshes_ahead() {
                        ahead::watch(&self.cache, self.spec, &self.key, &life);
                    }
                }
            }
            None if self.replaces => {
                cache::saw(Sight::NotStored);
                lease.ended();
                // Nothing comes in its place, but the loader says that it is not true any more.
                inner
                    .guarded
                    .invalidate(std::slice::from_ref(&self.key))
                    .await;
            }
            None => {
                cache::saw(Sight::NotStored);
                lease.release().await;
            }
        }
        if let Some(turn) = self.turn {
            turn.done();
        }
        Some((seat, standing))
    }
}

impl Held {
    /// Gives the lease up, so that the next caller finds it free; the seat is whose who wait.
    async fn give_up(self) -> Option<LoadSeat> {
        match self {
            Self::Lease { lease, seat, .. } => {
                lease.release().await;
                Some(seat)
            }
            Self::Seat(seat, _) => Some(seat),
            Self::Nothing => None,
        }
    }
}

/// Stores the value: `true`, unless it was refused, or may have been.
async fn fill(
    inner: &Inner,
    spec: &'static Spec,
    key: &Key,
    lease: GrantedLease,
    stored: Stored,
    keep: Duration,
) -> bool {
    let function = inner.functions.of(spec);
    let answer = match spec.consistency_level() {
        Consistency::Eventual => inner.guarded.put(key, stored, keep).await,
        Consistency::Fenced | Consistency::Strict => {
            inner.guarded.fill(key, lease.token, stored, keep).await
        }
    };
    match answer {
        Ok(stored) => {
            lease.ended();
            if !stored {
                function.counters.one(Count::RejectedFills);
                cache::saw(Sight::NotStored);
            }
            stored
        }
        Err(error) => {
            function.counters.one(Count::Errors);
            cache::saw(Sight::NotStored);
            tracing::debug!(function = spec.name(), %key, %error, "result not stored");
            false
        }
    }
}

/// Renews the lease for as long as it stands.
async fn renew(cache: &Cache, key: &Key, token: Token) {
    let inner = &cache.inner;
    let ttl = inner.settings.lease_ttl;
    loop {
        inner.clock.sleep(ttl / 3).await;
        if mutants::on(Mutant::LeaseNotRenewed) {
            continue;
        }
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

    pub(super) fn ended(mut self) {
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
        if !self.stands || mutants::on(Mutant::DroppedLeaderKeepsLease) {
            return;
        }
        let (cache, key, token) = (self.cache.clone(), self.key.clone(), self.token);
        Inner::detached(async move {
            // If this fails too, the lease ends by its expiry.
            let _ = cache.inner.guarded.release(&key, token).await;
        });
    }
}
