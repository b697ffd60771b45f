//! Cache-aside: hit, or load, store and return. This is what a miss does; `read` is what comes before it.
//!
//! The protocol is that of leases (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013), with a token for each load rather than for
//! each client, and with write intents (Ghandeharizadeh et al., "Strong consistency in cache augmented SQL systems", Middleware 2014) for strict writers.
// The rounds, and the load in `loading`, are steps of a model in which every order of them is checked: `tests/model/src/reading.rs` has them under the names
// that they have here.

use crate::backend::{Ask, Format, Lease, LeaseMode, Stored, Token, Versions};
use crate::cache::{self, Cache, Inner};
use crate::clock::Moment;
use crate::error::BackendError;
use crate::guard::Budget;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::observe::{Count, FunctionState};
use crate::pattern::entries::{self, CacheValue, Found};
use crate::pattern::known::Known;
use crate::pattern::loading::{Held, LoadSeat, Loading, PendingLease, StandIn};
use crate::pattern::read::Answer;
use crate::pattern::read_through::ahead;
use crate::race;
use crate::shape::Shape;
use crate::spec::{Consistency, Spec};
use crate::stampede::flight::{Boarding, Flight, Join, Landing, Standing, Ticket, Told};
use crate::stampede::refresh::Turn;
use crate::warm::witness::Sight;

/// So many different loads a caller waits for before it asks for no further lease, and joins or leads one that stores nothing. It takes a
/// key that is invalidated over and over, faster than it can be loaded, to get there.
const ROUNDS: usize = 16;

/// A caller whose leader failed with an error that cannot be handed on leads or joins one more load; if that fails too it
/// loads for itself. So the last of many callers of a failing loader waits for three loads, not for one after another.
const FAILED_FLIGHTS: usize = 2;

/// A caller that has waited for so many leases of others in vain, each taken by somebody else when it ended, waits for no further one: it
/// joins or leads a load of its own process that stores nothing. Else the processes would load one after another what fails, or what
/// there is none of.
pub(super) const PASSED_BY: usize = 2;

/// One call that was not answered at once.
pub(crate) struct Call<S: Shape> {
    pub(crate) cache: Cache,
    pub(crate) spec: &'static Spec,
    pub(crate) key: Key,
    pub(crate) shape: S,
    pub(super) known: Known,
    began: Ticket,
    /// What was seen, and is to be replaced.
    mode: LeaseMode,
    /// What may be returned if the load fails.
    pub(super) stand_in: Option<StandIn<S::Value>>,
    /// Whether what it loads is for nobody else.
    pub(super) alone: bool,
    /// Whether the backend is elsewhere, so that others may come while it is asked.
    remote: bool,
    budget: Budget,
    /// Until when the caller waits for a load.
    pub(super) deadline: Option<Moment>,
    /// The holder of the lease that was last waited for, and whether the last round waited for it again.
    holder: Option<Token>,
    same_holder: bool,
    /// How many leases were waited for, ended without a value, and were taken by somebody else again.
    passed_by: usize,
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
            Self::Granted(Held::Lease {
                lease, versions, ..
            }) => Told::Busy(lease.token(), *versions),
            Self::Granted(_) => Told::Nothing,
            Self::Told(told) => told.clone(),
        }
    }
}

/// What one round of asking came to. It is moved once: a box would cost more.
#[allow(clippy::large_enum_variant)]
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
        known: Known,
        shape: S,
        mode: LeaseMode,
        budget: Budget,
    ) -> Self {
        let remote = cache.inner.guarded.backend().format() == Format::Encoded;
        Self {
            cache,
            spec,
            key,
            shape,
            known,
            // Later than the call's true beginning: it may then join fewer flights, never one too many.
            began: Ticket::draw(),
            mode,
            stand_in: None,
            alone: false,
            remote,
            budget,
            deadline: None,
            holder: None,
            same_holder: false,
            passed_by: 0,
        }
    }

    fn shares(&self) -> bool {
        self.spec.stampede_mode().shares_misses()
    }

    fn inner(&self) -> &Inner {
        &self.cache.inner
    }

    pub(crate) fn function(&self) -> &FunctionState {
        self.inner().functions.of(self.spec)
    }

    pub(super) fn mode(&self) -> LeaseMode {
        self.mode
    }

    /// A hit that loads before its entry expires. Whatever keeps it from loading, it has a value to return.
    pub(super) async fn early(mut self) -> Answer<S> {
        let locks = self.spec.stampede_mode().locks();
        let turn = locks.then(|| self.inner().refreshes.begin(&self.key, &self.inner().clock));
        let told = match turn {
            Some(None) => None,
            Some(Some(turn)) => match self.ask().await {
                Asked::Granted(held) => return self.lead_early(held, Some(turn)),
                Asked::Told(told) => {
                    turn.elsewhere();
                    Some(told)
                }
            },
            None => match self.ask().await {
                Asked::Granted(held) => return self.lead_early(held, None),
                // Without the lock they all load, and the first one's result is stored.
                Asked::Told(Told::Busy(..)) => return self.lead_early(Held::Nothing, None),
                Asked::Told(told) => Some(told),
            },
        };
        if let Some(Told::Hit(stored)) = told
            && let Some(newer) = self.take(stored)
        {
            return self.hit(newer);
        }
        // The backend may have taken so long that the value is past its TTL by now.
        let clock = self.inner().clock.clone();
        match self.stand_in.take_if(|stand_in| stand_in.is_fresh(&clock)) {
            Some(stand_in) => self.hit(stand_in.found),
            None => self.miss_in_time(None).await,
        }
    }

    fn lead_early(self, held: Held, turn: Option<Turn>) -> Answer<S> {
        self.function().counters.one(Count::Refreshes);
        self.lead_with(held, turn)
    }

    /// A miss that waits for a load no longer than the function's `timeout`.
    pub(super) async fn miss_in_time(mut self, away: Option<BackendError>) -> Answer<S> {
        let Some(limit) = self.spec.timeout() else {
            return self.miss(away).await;
        };
        let clock = self.inner().clock.clone();
        self.deadline = Some(clock.now().after(limit));
        let (cache, spec, shape) = (self.cache.clone(), self.spec, self.shape);
        let stand_in = self.stand_in.clone();
        let answer = race::within(Box::pin(self.miss(away)), clock.sleep(limit)).await;
        answer.unwrap_or_else(|| {
            let counters = &cache.inner.functions.of(spec).counters;
            counters.one(Count::Misses);
            counters.one(Count::Timeouts);
            cache::saw(Sight::Timeout);
            match stand_in.and_then(|stand_in| stand_in.output(&cache.inner, spec, shape)) {
                Some(output) => Answer::Ready(output),
                None => Answer::Late(limit),
            }
        })
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
            } else if (self.spec.consistency_level() == Consistency::Eventual
                || mutants::on(Mutant::JoinedByKeyAlone))
                && self.shares()
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
                    if failed_flights + self.passed_by >= FAILED_FLIGHTS {
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
        self.lead_with(held, None)
    }

    fn lead_with(self, held: Held, turn: Option<Turn>) -> Answer<S> {
        self.function().counters.one(Count::Misses);
        Answer::Load(Box::new(Loading::new(self, held, turn)))
    }

    fn hit(&self, found: Found<S::Value>) -> Answer<S> {
        if self.spec.refreshes_ahead() {
            ahead::meet(&self.cache, self.spec, &self.key, &found.life);
        }
        self.saw();
        self.function().counters.one(Count::Hits);
        Answer::Ready(found.output(self.shape))
    }

    /// Notes that the entry was read, where that counts.
    fn saw(&self) {
        if self.spec.refreshes_ahead() {
            self.inner().ahead.saw(&self.key);
        }
    }

    /// One load at a time in this process whatever the backend says, and any of them will do.
    async fn by_key_alone(&mut self) -> Round<S> {
        match self.inner().loads.board(&self.key, Join::KeyAlone) {
            Boarding::Join(flight) => self.join(&flight, None).await,
            Boarding::Lead(seat) => match self.by_lease().await {
                // The lease, if there is one, only keeps other processes waiting; the flight is the one by key.
                Round::Load(Held::Lease {
                    lease, versions, ..
                }) => Round::Load(Held::Lease {
                    lease,
                    versions,
                    seat,
                }),
                Round::Load(_) => Round::Load(Held::Seat(seat, None)),
                Round::Done(Answer::Ready(output)) => {
                    if let Some(value) = self.shape.peek(&output) {
                        let value = || self.shape.keep(value.clone());
                        seat.land_for_others(|| Landing::Value(value(), Standing::Stored));
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
        match told {
            Told::Hit(stored) => match self.take(stored) {
                Some(found) => Round::Done(self.hit(found)),
                None => Round::Again,
            },
            Told::Busy(..) if !self.shares() => Round::Load(Held::Nothing),
            Told::Busy(holder, versions) => self.await_holder(holder, versions).await,
            Told::Bypass(generation, versions) => self.beside_a_write(generation, versions).await,
            Told::Away(error) => Round::Away(error),
            Told::Nothing => Round::Again,
        }
    }

    /// Takes the answer of a question that another caller asked after this call began, if there is one, or asks for all those who
    /// come meanwhile. A thousand callers of one cold key ask a remote backend twice.
    async fn ask_with_others(&mut self) -> Asked {
        // A question to a store in this process is over before another caller could join it.
        if !self.remote || !self.shares() {
            return self.ask().await;
        }
        loop {
            let mode = (self.mode, self.known.id());
            let question = match self.inner().questions.board(&self.key, mode) {
                Boarding::Lead(seat) => {
                    let asked = self.ask().await;
                    seat.land_for_others(|| asked.to_others());
                    return asked;
                }
                Boarding::Join(question) => question,
            };
            let in_time = question.began_after(self.began);
            match self.budget.within(question.landing()).await {
                Some(told) if in_time || mutants::on(Mutant::EarlierQuestionShared) => {
                    return Asked::Told(told);
                }
                Some(_) => {}
                None => return Asked::Told(Told::Away(BackendError::late())),
            }
        }
    }

    pub(super) async fn ask(&mut self) -> Asked {
        let token = Token::fresh();
        // Boarded before the backend is asked: a task that is told "busy, by this token" finds the flight.
        let join = match mutants::on(Mutant::LoadNotBoarded) {
            true => Join::Token(Token::fresh(), self.known.id()),
            false => Join::Token(token, self.known.id()),
        };
        let Boarding::Lead(seat) = self.inner().loads.board(&self.key, join) else {
            return Asked::Told(Told::Nothing);
        };
        let token = match mutants::on(Mutant::TokenPerProcess) {
            true => Token::from_parts(u64::from(std::process::id()), 0),
            false => token,
        };
        let lease = PendingLease::new(&self.cache, &self.key, token);
        let ask = Ask {
            key: self.key.clone(),
            tags: self.known.tags().clone(),
            token,
            mode: self.mode,
        };
        let ttl = self.inner().settings.lease_ttl;
        match self
            .cache
            .inner
            .guarded
            .lease(&ask, ttl, &mut self.budget)
            .await
        {
            Ok(Lease::Granted(versions)) => Asked::Granted(Held::Lease {
                lease: lease.granted(),
                versions,
                seat,
            }),
            Ok(Lease::Hit(stored)) => lease.not_granted(Told::Hit(stored)),
            Ok(Lease::Busy(holder, versions)) => lease.not_granted(Told::Busy(holder, versions)),
            Ok(Lease::Bypass(generation, versions)) => {
                lease.not_granted(Told::Bypass(generation, versions))
            }
            Err(error) => {
                // It may have been granted all the same: only after a timeout is there somebody to tell.
                lease.drop_after(&error);
                Asked::Told(Told::Away(error))
            }
        }
    }

    /// Reads a value that came meanwhile. One that is of no use is the next to be replaced.
    fn take(&mut self, stored: Stored) -> Option<Found<S::Value>> {
        let mark = stored.mark();
        match entries::read(self.shape, self.function(), stored) {
            Some(found) if !found.life.is_expired() => return Some(found),
            Some(found) => self.stand_in = Some(StandIn::new(found, &self.inner().clock)),
            None => {}
        }
        self.mode = LeaseMode::IfStill(mark);
        None
    }

    /// Another load holds the lease: it is in this process, or somebody here already follows it, or this caller does.
    async fn await_holder(&mut self, holder: Token, versions: Versions) -> Round<S> {
        let before = self.holder.replace(holder);
        self.same_holder = before == Some(holder);
        self.passed_by += usize::from(before.is_some() && !self.same_holder);
        if self.passed_by >= PASSED_BY && !mutants::on(Mutant::WaitsForEveryLease) {
            return self.join_later().await;
        }
        let join = Join::Token(holder, self.known.id());
        match self.inner().loads.board(&self.key, join) {
            Boarding::Join(flight) => self.join(&flight, Some(versions)).await,
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
            .get(&self.key, self.known.tags().as_slice(), &mut self.budget)
            .await
        {
            Ok(Some(stored)) if self.may_take(&stored) => stored,
            Ok(_) => return Round::Again,
            Err(error) => return Round::Away(error),
        };
        match self.take(stored) {
            Some(found) => {
                seat.land(found.landing(self.shape));
                cache::saw(Sight::Load);
                Round::Done(self.hit(found))
            }
            None => Round::Again,
        }
    }

    fn may_take(&self, stored: &Stored) -> bool {
        match self.mode {
            LeaseMode::IfMissing => true,
            LeaseMode::IfStill(mark) => stored.mark() != mark,
            LeaseMode::Refresh => false,
        }
    }

    /// A write is in progress: load, store nothing.
    async fn beside_a_write(&mut self, generation: Token, versions: Versions) -> Round<S> {
        match self.spec.consistency_level() {
            _ if !self.shares() => Round::Load(Held::Nothing),
            // Within one generation the row may change at any moment, and a load of another process may have seen it: only
            // a load that begins from now on is sure to see no less.
            Consistency::Strict if !mutants::on(Mutant::StrictJoinsByGeneration) => {
                self.join_later().await
            }
            // Nothing of these loads is stored, so what tags they find is held against nothing.
            _ if self.spec.has_tags_of_result() => self.join_later().await,
            _ => {
                let join = Join::Token(generation, self.known.id());
                self.board(join, Some(versions)).await
            }
        }
    }

    /// The backend did not answer: one load at a time in this process, and nothing is stored.
    async fn without_backend(&mut self) -> Round<S> {
        match self.spec.consistency_level() {
            _ if !self.shares() => Round::Load(Held::Nothing),
            Consistency::Strict => self.join_later().await,
            // Known to be away: there is nobody to ask, and what this process has invalidated itself is all that it can know.
            _ if self.inner().guarded.breaker_open()
                || mutants::on(Mutant::LateAnswerJoinsEarlierLoad) =>
            {
                self.board(Join::Away(self.inner().epochs.of(&self.key)), None)
                    .await
            }
            // One late answer: others can still invalidate, so only a load that begins from now on will do.
            _ => self.join_later().await,
        }
    }

    async fn board(&mut self, join: Join, versions: Option<Versions>) -> Round<S> {
        match self.inner().loads.board(&self.key, join) {
            Boarding::Lead(seat) => Round::Load(Held::Seat(seat, versions)),
            Boarding::Join(flight) => self.join(&flight, versions).await,
        }
    }

    /// Joins only a load that began after this call did; waits for an earlier one to end first, so that they stay one at a time.
    async fn join_later(&mut self) -> Round<S> {
        loop {
            match self.inner().loads.board(&self.key, Join::Later) {
                Boarding::Lead(seat) => return Round::Load(Held::Seat(seat, None)),
                Boarding::Join(flight)
                    if flight.began_after(self.began) || mutants::on(Mutant::EarlierLoadJoined) =>
                {
                    return self.join(&flight, None).await;
                }
                Boarding::Join(flight) => {
                    flight.landing().await;
                }
            }
        }
    }

    fn stands_in(&self) -> bool {
        let stand_in = self.stand_in.as_ref();
        stand_in.is_some_and(|found| found.may(&self.inner().clock, self.spec))
    }

    /// Waits for a load of this process and takes its result. `told` is what the backend said of the tags when it named the load.
    async fn join(&mut self, flight: &Flight<Landing>, told: Option<Versions>) -> Round<S> {
        let landing = flight.landing().await;
        let landing = match told {
            Some(told) => landing.after(told.last),
            None => landing,
        };
        // Another caller's load is as good as one's own.
        match &landing {
            Landing::Value(..) => cache::saw(Sight::Load),
            Landing::Absent(_) => cache::saw(Sight::Absent),
            Landing::Error(_) => cache::saw(Sight::Failure),
            Landing::Failed | Landing::Again => {}
        }
        self.budget = self.inner().guarded.budget();
        let answer = match landing {
            // A value of another type: some other function claims this key. It cannot be shared.
            Landing::Value(shared, _) => match self.shape.hand_out(shared) {
                Some(value) => self.shape.value(value),
                None => return Round::Load(Held::Nothing),
            },
            Landing::Absent(_) => match self.shape.absent() {
                Some(absent) => absent,
                None => return Round::Load(Held::Nothing),
            },
            Landing::Error(_) | Landing::Failed if self.stands_in() => {
                let stand_in = self.stand_in.take();
                self.function().counters.one(Count::Misses);
                let output =
                    stand_in.and_then(|found| found.output(self.inner(), self.spec, self.shape));
                return output.map_or(Round::Failed, |output| Round::Done(Answer::Ready(output)));
            }
            Landing::Error(error) => match self.shape.unshare(&error) {
                Some(error) => self.shape.failed(error),
                None => return Round::Failed,
            },
            Landing::Failed => return Round::Failed,
            Landing::Again => return Round::Again,
        };
        self.saw();
        let counters = &self.function().counters;
        counters.one(Count::Misses);
        counters.one(Count::Coalesced);
        Round::Done(Answer::Ready(answer))
    }
}
