//! Cache-aside: hit, or load, store and return. This is what a miss does; `read` is what comes before it.
//!
//! The protocol is that of leases (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013), with a token for each load rather than for
//! each client, and with write intents (Ghandeharizadeh et al., "Strong consistency in cache augmented SQL systems", Middleware 2014) for strict writers.

use crate::backend::{Format, Lease, LeaseMode, Stored, Token};
use crate::cache::{Cache, Inner};
use crate::error::BackendError;
use crate::guard::Budget;
use crate::key::Key;
use crate::observe::{Count, FunctionState};
use crate::pattern::entries::{self, CacheValue};
use crate::pattern::loading::{Held, LoadSeat, Loading, PendingLease};
use crate::pattern::read::{Answer, Seen};
use crate::shape::Shape;
use crate::spec::{Consistency, Spec, Stampede};
use crate::stampede::flight::{Boarding, Flight, Join, Landing, Ticket, Told};

/// So many different loads a caller waits for before it asks for no further lease, and joins or leads one that stores nothing. It takes a
/// key that is invalidated over and over, faster than it can be loaded, to get there.
const ROUNDS: usize = 16;

/// A caller whose leader failed with an error that cannot be handed on leads or joins one more load; if that fails too it
/// loads for itself. So the last of many callers of a failing loader waits for three loads, not for one after another.
const FAILED_FLIGHTS: usize = 2;

/// One call that was not answered at once.
pub(crate) struct Call<S> {
    pub(crate) cache: Cache,
    pub(crate) spec: &'static Spec,
    pub(crate) key: Key,
    pub(crate) shape: S,
    began: Ticket,
    seen: Seen,
    /// Whether the backend is elsewhere, so that others may come while it is asked.
    remote: bool,
    budget: Budget,
    /// The holder of the lease that was last waited for, and whether the last round waited for it again.
    holder: Option<Token>,
    same_holder: bool,
}

/// What a question for the lease came to.
pub(crate) enum Asked {
    Granted(Held),
    Told(Told),
}

impl Asked {
    /// To those who asked together with whoever was granted the lease, it is busy.
    fn to_others(&self) -> Told {
        match self {
            Self::Granted(Held::Lease { lease, .. }) => Told::Busy(lease.token()),
            Self::Granted(_) => Told::Nothing,
            Self::Told(told) => told.clone(),
        }
    }
}

/// What one round of asking came to.
enum Round<S: Shape> {
    Done(Answer<S>),
    Load(Held),
    /// Somebody else's load ended without an answer for this caller.
    Again,
    /// Somebody else's load failed, with an error that this caller cannot have.
    Failed,
    /// The backend did not answer.
    Away(BackendError),
}

impl<S> Call<S>
where
    S: Shape,
    S::Value: CacheValue,
{
    pub(super) fn new(
        cache: Cache,
        spec: &'static Spec,
        key: Key,
        shape: S,
        seen: Seen,
        budget: Budget,
    ) -> Self {
        let remote = cache.inner.guarded.backend().format() == Format::Encoded;
        Self {
            cache,
            spec,
            key,
            shape,
            // Later than the call's true beginning: it may then join fewer flights, never one too many.
            began: Ticket::draw(),
            seen,
            remote,
            budget,
            holder: None,
            same_holder: false,
        }
    }

    fn inner(&self) -> &Inner {
        &self.cache.inner
    }

    pub(crate) fn function(&self) -> &FunctionState {
        self.inner().functions.of(self.spec)
    }

    pub(super) async fn miss(mut self, away: Option<BackendError>) -> Answer<S> {
        let mut failed_flights = 0;
        let mut away = away;
        let mut rounds = 0;
        while rounds < ROUNDS {
            self.same_holder = false;
            let round = if let Some(error) = away.take() {
                self.function().counters.one(Count::Errors);
                tracing::debug!(function = self.spec.name(), key = %self.key, %error, "loading without the cache");
                self.without_backend().await
            } else if self.spec.consistency_level() == Consistency::Eventual
                && self.spec.stampede_mode() == Stampede::Lock
            {
                self.by_key_alone().await
            } else {
                self.by_lease().await
            };
            match round {
                Round::Done(answer) => return answer,
                Round::Load(held) => return self.lead(held),
                Round::Again => {}
                Round::Failed => {
                    failed_flights += 1;
                    if failed_flights >= FAILED_FLIGHTS {
                        return self.lead(Held::Nothing);
                    }
                }
                Round::Away(error) => away = Some(error),
            }
            // A wait may end before its lease does, and a load may take longer than any number of waits.
            rounds += usize::from(!self.same_holder);
        }
        match self.join_later().await {
            Round::Done(answer) => answer,
            Round::Load(held) => self.lead(held),
            Round::Again | Round::Failed | Round::Away(_) => self.lead(Held::Nothing),
        }
    }

    pub(super) fn lead(self, held: Held) -> Answer<S> {
        self.function().counters.one(Count::Misses);
        Answer::Load(Box::new(Loading::new(self, held)))
    }

    fn hit(&self, value: S::Value) -> Round<S> {
        self.function().counters.one(Count::Hits);
        Round::Done(Answer::Ready(self.shape.value(value)))
    }

    /// One load at a time in this process whatever the backend says, and any of them will do.
    async fn by_key_alone(&mut self) -> Round<S> {
        match self.inner().loads.board(&self.key, Join::KeyAlone) {
            Boarding::Join(flight) => self.join(&flight).await,
            Boarding::Lead(seat) => match self.by_lease().await {
                // The lease, if there is one, only keeps other processes waiting; the flight is the one by key.
                Round::Load(Held::Lease { lease, .. }) => Round::Load(Held::Lease { lease, seat }),
                Round::Load(_) => Round::Load(Held::Seat(seat)),
                Round::Done(Answer::Ready(output)) => {
                    if let Some(value) = self.shape.peek(&output) {
                        seat.land_for_others(|| Landing::Value(self.shape.keep(value.clone())));
                    }
                    Round::Done(Answer::Ready(output))
                }
                other => other,
            },
        }
    }

    /// Asks the backend who loads, and does what it says.
    async fn by_lease(&mut self) -> Round<S> {
        let told = match self.ask_with_others().await {
            Asked::Granted(held) => return Round::Load(held),
            Asked::Told(told) => told,
        };
        match (told, self.spec.stampede_mode()) {
            (Told::Hit(stored), _) => self.found(stored),
            (Told::Busy(_), Stampede::None) => Round::Load(Held::Nothing),
            (Told::Busy(holder), Stampede::Lock) => self.await_holder(holder).await,
            (Told::Bypass(generation), _) => self.beside_a_write(generation).await,
            (Told::Away(error), _) => Round::Away(error),
            (Told::Nothing, _) => Round::Again,
        }
    }

    /// Takes the answer of a question that another caller asked after this call began, if there is one, or asks for all those who
    /// come meanwhile. A thousand callers of one cold key ask a remote backend twice.
    async fn ask_with_others(&mut self) -> Asked {
        // A question to a store in this process is over before another caller could join it.
        if !self.remote || self.spec.stampede_mode() == Stampede::None {
            return self.ask().await;
        }
        loop {
            let question = match self.inner().questions.board(&self.key, self.mode()) {
                Boarding::Lead(seat) => {
                    let asked = self.ask().await;
                    seat.land_for_others(|| asked.to_others());
                    return asked;
                }
                Boarding::Join(question) => question,
            };
            let in_time = question.began_after(self.began);
            match self.budget.within(question.landing()).await {
                Some(told) if in_time => return Asked::Told(told),
                Some(_) => {}
                None => return Asked::Told(Told::Away(BackendError::late())),
            }
        }
    }

    async fn ask(&mut self) -> Asked {
        let token = Token::fresh();
        // Boarded before the backend is asked: a task that is told "busy, by this token" finds the flight.
        let Boarding::Lead(seat) = self.inner().loads.board(&self.key, Join::Token(token)) else {
            return Asked::Told(Told::Nothing);
        };
        let lease = PendingLease::new(&self.cache, &self.key, token);
        let (mode, ttl) = (self.mode(), self.inner().settings.lease_ttl);
        match self
            .cache
            .inner
            .guarded
            .lease(&self.key, token, ttl, mode, &mut self.budget)
            .await
        {
            Ok(Lease::Granted) => Asked::Granted(Held::Lease {
                lease: lease.granted(),
                seat,
            }),
            Ok(Lease::Hit(stored)) => lease.not_granted(Told::Hit(stored)),
            Ok(Lease::Busy(holder)) => lease.not_granted(Told::Busy(holder)),
            Ok(Lease::Bypass(generation)) => lease.not_granted(Told::Bypass(generation)),
            Err(error) => {
                // It may have been granted all the same: only after a timeout is there somebody to tell.
                lease.drop_after(&error);
                Asked::Told(Told::Away(error))
            }
        }
    }

    fn mode(&self) -> LeaseMode {
        if self.seen == Seen::Unusable {
            LeaseMode::Refresh
        } else {
            LeaseMode::IfMissing
        }
    }

    fn found(&mut self, stored: Stored) -> Round<S> {
        match entries::read(self.shape, self.function(), stored) {
            Some(value) => self.hit(value),
            None => {
                self.seen = Seen::Unusable;
                Round::Again
            }
        }
    }

    /// Another load holds the lease: it is in this process, or somebody here already follows it, or this caller does.
    async fn await_holder(&mut self, holder: Token) -> Round<S> {
        self.same_holder = self.holder.replace(holder) == Some(holder);
        match self.inner().loads.board(&self.key, Join::Token(holder)) {
            Boarding::Join(flight) => self.join(&flight).await,
            Boarding::Lead(seat) => self.follow(holder, seat).await,
        }
    }

    /// Waits for a load of another process and hands its value to everybody here who was told of the same lease.
    async fn follow(&mut self, holder: Token, seat: LoadSeat) -> Round<S> {
        let patience = self.inner().settings.lease_ttl;
        if let Err(error) = self.inner().guarded.wait(&self.key, holder, patience).await {
            return Round::Away(error);
        }
        // The wait was the loader's time, not the backend's.
        self.budget = self.inner().guarded.budget();
        let stored = match self
            .cache
            .inner
            .guarded
            .get(&self.key, &mut self.budget)
            .await
        {
            Ok(Some(stored)) if self.seen != Seen::Unusable => stored,
            Ok(_) => return Round::Again,
            Err(error) => return Round::Away(error),
        };
        match entries::read(self.shape, self.function(), stored) {
            Some(value) => {
                seat.land(Landing::Value(self.shape.keep(value.clone())));
                self.hit(value)
            }
            None => {
                self.seen = Seen::Unusable;
                Round::Again
            }
        }
    }

    /// A write is in progress: load, store nothing.
    async fn beside_a_write(&mut self, generation: Token) -> Round<S> {
        match (self.spec.stampede_mode(), self.spec.consistency_level()) {
            (Stampede::None, _) => Round::Load(Held::Nothing),
            // Within one generation the row may change at any moment, and a load of another process may have seen it: only
            // a load that begins from now on is sure to see no less.
            (Stampede::Lock, Consistency::Strict) => self.join_later().await,
            (Stampede::Lock, _) => self.board(Join::Token(generation)).await,
        }
    }

    /// The backend did not answer: one load at a time in this process, and nothing is stored.
    async fn without_backend(&mut self) -> Round<S> {
        match (self.spec.stampede_mode(), self.spec.consistency_level()) {
            (Stampede::None, _) => Round::Load(Held::Nothing),
            (Stampede::Lock, Consistency::Strict) => self.join_later().await,
            // Known to be away: there is nobody to ask, and what this process has invalidated itself is all that it can know.
            (Stampede::Lock, _) if self.inner().guarded.breaker_open() => {
                self.board(Join::Away(self.inner().epochs.of(&self.key)))
                    .await
            }
            // One late answer: others can still invalidate, so only a load that begins from now on will do.
            (Stampede::Lock, _) => self.join_later().await,
        }
    }

    async fn board(&mut self, join: Join) -> Round<S> {
        match self.inner().loads.board(&self.key, join) {
            Boarding::Lead(seat) => Round::Load(Held::Seat(seat)),
            Boarding::Join(flight) => self.join(&flight).await,
        }
    }

    /// Joins only a load that began after this call did; waits for an earlier one to end first, so that they stay one at a time.
    async fn join_later(&mut self) -> Round<S> {
        loop {
            match self.inner().loads.board(&self.key, Join::Later) {
                Boarding::Lead(seat) => return Round::Load(Held::Seat(seat)),
                Boarding::Join(flight) if flight.began_after(self.began) => {
                    return self.join(&flight).await;
                }
                Boarding::Join(flight) => {
                    flight.landing().await;
                }
            }
        }
    }

    /// Waits for a load of this process and takes its result.
    async fn join(&mut self, flight: &Flight<Landing>) -> Round<S> {
        let landing = flight.landing().await;
        self.budget = self.inner().guarded.budget();
        let answer = match landing {
            // A value of another type: some other function claims this key. It cannot be shared.
            Landing::Value(shared) => match self.shape.hand_out(shared) {
                Some(value) => self.shape.value(value),
                None => return Round::Load(Held::Nothing),
            },
            Landing::Absent => match self.shape.absent() {
                Some(absent) => absent,
                None => return Round::Load(Held::Nothing),
            },
            Landing::Error(error) => match self.shape.unshare(&error) {
                Some(error) => self.shape.failed(error),
                None => return Round::Failed,
            },
            Landing::Failed => return Round::Failed,
            Landing::Again => return Round::Again,
        };
        let counters = &self.function().counters;
        counters.one(Count::Misses);
        counters.one(Count::Coalesced);
        Round::Done(Answer::Ready(answer))
    }
}
