//! The elements that were not there: who loads which, round by round.

use std::future::Future;
use std::sync::Arc;

use super::leases::Leases;
use super::load::{self, Held, Loaded};
use super::{Answers, BatchKeys, Collection, Form, LookedUp, Missing};
use crate::backend::{Ask, Lease, LeaseMode, Stored, Token, Versions};
use crate::cache::{self, Cache, Inner};
use crate::error::{BackendError, BackendErrorKind};
use crate::guard::Budget;
use crate::observe::{Count, FunctionState};
use crate::pattern::aside::PASSED_BY;
use crate::pattern::entries::{self, CacheValue};
use crate::pattern::known::Known;
use crate::pattern::loading::{LoadSeat, StandIn};
use crate::shape::Shape;
use crate::spec::{Consistency, Spec};
use crate::stampede::flight::{Boarding, Flight, Join, Landing, Ticket};
use crate::warm::witness::Sight;

/// After so many rounds without any element found the rest is loaded without asking: it takes keys that are invalidated faster than they
/// can be loaded to get there.
const ROUNDS: usize = 16;

/// An element whose load failed twice in the hands of others, with an error that cannot be had, is loaded without the lock.
const FAILED_FLIGHTS: usize = 2;

/// One call's elements that were not found.
pub(super) struct Misses<'k, K, F, S> {
    pub(super) cache: Cache,
    pub(super) spec: &'static Spec,
    pub(super) form: F,
    pub(super) element: S,
    /// Inside a transaction: nothing is shared and nothing stored.
    alone: bool,
    keys: &'k BatchKeys<K>,
    began: Ticket,
    budget: Budget,
    /// The backend is known not to answer: the next round does not ask it.
    away: Option<BackendError>,
    /// For each distinct element the lease that was last waited for.
    holders: Vec<Option<Token>>,
    /// And how many were waited for in vain, as a single call counts them.
    passed_by: Vec<usize>,
}

/// Whose turn each missing element is in this round.
struct Turns<S: Shape> {
    /// To be loaded by this call, and the leases that it has for that.
    load: Vec<(Missing<S>, Held)>,
    leases: Leases,
    /// Loaded by another call of this process.
    join: Vec<Joined<S>>,
    /// Loaded by another process.
    follow: Vec<(Missing<S>, Token)>,
    /// To be asked for once more.
    again: Vec<Missing<S>>,
}

/// What a value that came meanwhile is to the call.
enum Taken<S: Shape> {
    /// The answer for the element of this place.
    Found(usize, Option<S::Value>),
    OfNoUse(Missing<S>),
}

/// An element that another call of this process loads.
struct Joined<S: Shape> {
    missing: Missing<S>,
    flight: Arc<Flight<Landing>>,
    /// Whether its result will do, or only its end is to be waited for.
    in_time: bool,
    /// What the backend said of the tags when it named the load.
    told: Option<Versions>,
}

impl<S: Shape> Turns<S> {
    fn none(cache: &Cache) -> Self {
        Self {
            load: Vec::new(),
            leases: Leases::new(cache, Vec::new()),
            join: Vec::new(),
            follow: Vec::new(),
            again: Vec::new(),
        }
    }

    /// To be loaded without a word to anybody.
    fn alone(cache: &Cache, missing: Vec<Missing<S>>) -> Self {
        let load = missing
            .into_iter()
            .map(|missing| (missing, Held::Nothing))
            .collect();
        Self {
            load,
            ..Self::none(cache)
        }
    }
}

impl<'k, K, F, S> Misses<'k, K, F, S>
where
    K: Clone,
    F: Form,
    F::Collection: Collection<K>,
    S: Shape<Output = Option<<F::Collection as Collection<K>>::Value>>,
    S::Value: CacheValue,
{
    pub(super) fn new(
        looked: LookedUp<S>,
        spec: &'static Spec,
        form: F,
        element: S,
        keys: &'k BatchKeys<K>,
    ) -> (Self, Vec<Missing<S>>) {
        let misses = Self {
            cache: looked.cache,
            spec,
            form,
            element,
            alone: looked.alone,
            keys,
            began: Ticket::draw(),
            budget: looked.budget,
            away: looked.away,
            holders: vec![None; keys.distinct.len()],
            passed_by: vec![0; keys.distinct.len()],
        };
        (misses, looked.missing)
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.cache.inner
    }

    pub(super) fn function(&self) -> &FunctionState {
        self.inner().functions.of(self.spec)
    }

    /// What is known of the tags of the distinct element of this place.
    pub(super) fn known(&self, at: usize) -> &'k Known {
        self.keys.known(at)
    }

    pub(super) fn item(&self, at: usize) -> K {
        self.keys.distinct[at].0.clone()
    }

    /// Everything that was asked for, as it was asked for.
    pub(super) fn all_items(&self) -> Vec<K> {
        self.keys
            .asked
            .iter()
            .map(|(item, _)| item.clone())
            .collect()
    }

    /// Finds an answer for each of them; `Err` is what the call is to return instead.
    pub(super) async fn resolve<B, W>(
        mut self,
        mut missing: Vec<Missing<S>>,
        answers: &mut Answers<S::Value>,
        mut body: B,
    ) -> Result<(), F::Output>
    where
        B: FnMut(Vec<K>) -> W,
        W: Future<Output = F::Output>,
    {
        let mut failures = 0;
        let mut rounds = 0;
        while !missing.is_empty() {
            let (count, holders) = (missing.len(), self.holders.clone());
            let turns = if self.alone || rounds >= ROUNDS || failures >= FAILED_FLIGHTS {
                Turns::alone(&self.cache, missing)
            } else {
                self.assign(missing, answers).await
            };
            missing = turns.again;
            if !turns.load.is_empty()
                && let Loaded::Instead(output) =
                    load::run(&self, turns.load, turns.leases, answers, &mut body).await
            {
                return Err(output);
            }
            failures += usize::from(self.join(turns.join, answers, &mut missing).await?);
            self.follow(turns.follow, answers, &mut missing).await;
            // A wait may end before its lease does, and a load may take longer than any number of waits.
            let waits = missing
                .iter()
                .all(|missing| self.holders[missing.at].is_some());
            rounds += usize::from(missing.len() < count || !waits || holders != self.holders);
            self.budget = self.inner().guarded.budget();
        }
        Ok(())
    }

    fn shares(&self) -> bool {
        self.spec.stampede_mode().shares_misses()
    }

    /// Asks for all leases at once and finds out whose turn each element is.
    async fn assign(
        &mut self,
        missing: Vec<Missing<S>>,
        answers: &mut Answers<S::Value>,
    ) -> Turns<S> {
        let mut turns = Turns::none(&self.cache);
        let away = self.away.take();
        if let Some(error) = &away {
            self.function().counters.one(Count::Errors);
            tracing::debug!(function = self.spec.name(), %error, "loading without the cache");
        }
        let mut asking = Vec::with_capacity(missing.len());
        for missing in missing {
            // It cannot wait for the load that it is called from.
            if cache::is_loading(&self.cache, &missing.key) {
                turns.load.push((missing, Held::Nothing));
                continue;
            }
            if away.is_some() {
                self.without_backend(missing, &mut turns);
                continue;
            }
            if self.spec.consistency_level() != Consistency::Eventual || !self.shares() {
                asking.push((missing, None));
                continue;
            }
            // Any load of this process will do.
            match self.inner().loads.board(&missing.key, Join::KeyAlone) {
                Boarding::Join(flight) => turns.join.push(Joined {
                    missing,
                    flight,
                    in_time: true,
                    told: None,
                }),
                Boarding::Lead(seat) => asking.push((missing, Some(seat))),
            }
        }
        self.ask(asking, &mut turns, answers).await;
        turns
    }

    async fn ask(
        &mut self,
        asking: Vec<(Missing<S>, Option<LoadSeat>)>,
        turns: &mut Turns<S>,
        answers: &mut Answers<S::Value>,
    ) {
        let mut asks = Vec::with_capacity(asking.len());
        let mut waiting = Vec::with_capacity(asking.len());
        for (missing, own) in asking {
            let token = Token::fresh();
            // Boarded before the backend is asked: whoever is told "busy, by this token" finds the flight.
            let known = self.known(missing.at);
            let join = Join::Token(token, known.id());
            let Boarding::Lead(seat) = self.inner().loads.board(&missing.key, join) else {
                turns.again.push(missing);
                continue;
            };
            asks.push(Ask {
                key: missing.key.clone(),
                tags: known.tags().clone(),
                token,
                mode: missing.mode,
            });
            waiting.push((missing, own.unwrap_or(seat)));
        }
        if asks.is_empty() {
            return;
        }
        // From here on any of them may be granted, also to a call that is dropped before it hears of it.
        let asked = asks.iter().map(|ask| (ask.key.clone(), ask.token));
        let mut leases = Leases::new(&self.cache, asked.collect());
        let ttl = self.inner().settings.lease_ttl;
        let guarded = self.inner().guarded.clone();
        match guarded.lease_many(&asks, ttl, &mut self.budget).await {
            Ok(answered) => {
                let granted = |(ask, lease): (&Ask, &Lease)| {
                    matches!(lease, Lease::Granted(_)).then_some(ask.token)
                };
                leases.retain(&asks.iter().zip(&answered).filter_map(granted).collect());
                turns.leases = leases;
                for ((lease, ask), (missing, seat)) in answered.into_iter().zip(asks).zip(waiting) {
                    self.turn(lease, ask.token, missing, seat, turns, answers);
                }
            }
            Err(error) => {
                // What never reached the backend was granted by nobody.
                if error.kind() == BackendErrorKind::Unavailable {
                    leases.forget();
                }
                self.function().counters.one(Count::Errors);
                tracing::debug!(function = self.spec.name(), %error, "loading without the cache");
                for (missing, seat) in waiting {
                    drop(seat);
                    self.without_backend(missing, turns);
                }
            }
        }
    }

    /// What the answer for one element makes of it.
    fn turn(
        &mut self,
        lease: Lease,
        token: Token,
        missing: Missing<S>,
        seat: LoadSeat,
        turns: &mut Turns<S>,
        answers: &mut Answers<S::Value>,
    ) {
        match lease {
            Lease::Granted(versions) => {
                turns
                    .load
                    .push((missing, Held::Lease(token, seat, versions)));
            }
            Lease::Hit(stored) => match self.take(missing, stored) {
                Taken::Found(at, found) => answers[at] = Some(found),
                Taken::OfNoUse(missing) => turns.again.push(missing),
            },
            Lease::Busy(..) if !self.shares() => turns.load.push((missing, Held::Nothing)),
            Lease::Busy(holder, versions) => {
                drop(seat);
                let before = self.holders[missing.at].replace(holder);
                self.passed_by[missing.at] += usize::from(before.is_some_and(|it| it != holder));
                if self.passed_by[missing.at] >= PASSED_BY {
                    return self.board(missing, Join::Later, None, turns);
                }
                let join = Join::Token(holder, self.known(missing.at).id());
                match self.inner().loads.board(&missing.key, join) {
                    Boarding::Join(flight) => turns.join.push(Joined {
                        missing,
                        flight,
                        in_time: true,
                        told: Some(versions),
                    }),
                    // The seat is given up: nobody may wait for this call to come round to waiting for that lease.
                    Boarding::Lead(_) => turns.follow.push((missing, holder)),
                }
            }
            Lease::Bypass(generation, versions) => match self.spec.consistency_level() {
                _ if !self.shares() => turns.load.push((missing, Held::Nothing)),
                Consistency::Eventual => turns.load.push((missing, Held::Seat(seat, None))),
                Consistency::Strict => self.board(missing, Join::Later, None, turns),
                // As for single loaders.
                _ if self.spec.has_tags_of_result() => {
                    self.board(missing, Join::Later, None, turns);
                }
                _ => {
                    let join = Join::Token(generation, self.known(missing.at).id());
                    self.board(missing, join, Some(versions), turns);
                }
            },
        }
    }

    /// The backend did not answer: one load at a time in this process, and nothing is stored. As for single loaders.
    fn without_backend(&self, missing: Missing<S>, turns: &mut Turns<S>) {
        let inner = self.inner();
        match self.spec.consistency_level() {
            _ if !self.shares() => turns.load.push((missing, Held::Nothing)),
            Consistency::Eventual => self.board(missing, Join::KeyAlone, None, turns),
            Consistency::Fenced if inner.guarded.breaker_open() => {
                let epoch = inner.epochs.of(&missing.key);
                self.board(missing, Join::Away(epoch), None, turns);
            }
            _ => self.board(missing, Join::Later, None, turns),
        }
    }

    fn board(&self, missing: Missing<S>, join: Join, told: Option<Versions>, turns: &mut Turns<S>) {
        match self.inner().loads.board(&missing.key, join) {
            Boarding::Lead(seat) => turns.load.push((missing, Held::Seat(seat, told))),
            Boarding::Join(flight) => turns.join.push(Joined {
                in_time: join != Join::Later || flight.began_after(self.began),
                missing,
                flight,
                told,
            }),
        }
    }

    /// Takes a value that came meanwhile. One that is of no use is the next to be replaced.
    fn take(&self, missing: Missing<S>, stored: Stored) -> Taken<S> {
        let mode = LeaseMode::IfStill(stored.mark());
        if missing.mode == mode {
            return Taken::OfNoUse(missing);
        }
        match entries::read(self.element, self.function(), stored) {
            Some(found) if !found.life.is_expired() => {
                self.function().counters.one(Count::Hits);
                Taken::Found(missing.at, found.value)
            }
            found => Taken::OfNoUse(Missing {
                mode,
                stand_in: found.map(|found| StandIn::new(found, &self.inner().clock)),
                ..missing
            }),
        }
    }

    /// Waits for the loads of this process, and says whether one failed with an error that cannot be had.
    async fn join(
        &mut self,
        joined: Vec<Joined<S>>,
        answers: &mut Answers<S::Value>,
        again: &mut Vec<Missing<S>>,
    ) -> Result<bool, F::Output> {
        let mut failed = false;
        for Joined {
            mut missing,
            flight,
            in_time,
            told,
        } in joined
        {
            let landing = match (flight.landing().await, told) {
                _ if !in_time => Landing::Again,
                (landing, Some(told)) => landing.after(told.last),
                (landing, None) => landing,
            };
            let answer = match landing {
                Landing::Value(shared, _) => self.element.hand_out(shared).map(Some),
                Landing::Absent(_) => Some(None),
                Landing::Error(_) | Landing::Failed if self.stands_in(&missing) => {
                    answers[missing.at] = self.stand_in(&mut missing);
                    self.function().counters.one(Count::Misses);
                    continue;
                }
                Landing::Error(error) => match self.form.unshare(&error) {
                    Some(error) => {
                        cache::saw(Sight::Failure);
                        return Err(self.form.failed(error));
                    }
                    None => None,
                },
                Landing::Failed => {
                    failed = true;
                    None
                }
                Landing::Again => None,
            };
            match answer {
                Some(answer) => {
                    self.function().counters.one(Count::Misses);
                    self.function().counters.one(Count::Coalesced);
                    cache::saw(answer.as_ref().map_or(Sight::Absent, |_| Sight::Load));
                    answers[missing.at] = Some(answer);
                }
                None => again.push(missing),
            }
        }
        Ok(failed)
    }

    pub(super) fn stands_in(&self, missing: &Missing<S>) -> bool {
        let stand_in = missing.stand_in.as_ref();
        stand_in.is_some_and(|stand_in| stand_in.may(&self.inner().clock, self.spec))
    }

    /// The value in hand, for a load that failed.
    pub(super) fn stand_in(&self, missing: &mut Missing<S>) -> Option<Option<S::Value>> {
        let stand_in = missing.stand_in.take()?;
        let found = stand_in.found(self.inner(), self.spec)?;
        Some(found.value)
    }

    /// Waits for loads of other processes. They are likely to end together, as the elements of one batch: the end of one is waited
    /// for, and then all are looked at.
    async fn follow(
        &mut self,
        follow: Vec<(Missing<S>, Token)>,
        answers: &mut Answers<S::Value>,
        again: &mut Vec<Missing<S>>,
    ) {
        let Some((first, holder)) = follow.first() else {
            return;
        };
        let guarded = self.inner().guarded.clone();
        let patience = self.inner().settings.lease_ttl;
        let waited = guarded.wait(&first.key, *holder, patience).await;
        let keys: Vec<_> = follow
            .iter()
            .map(|(missing, _)| missing.key.clone())
            .collect();
        let mut budget = guarded.budget();
        let stored = match waited {
            Ok(()) => {
                let tags = self.keys.tags();
                guarded.get_many(&keys, tags.as_slice(), &mut budget).await
            }
            Err(error) => Err(error),
        };
        let stored = stored.unwrap_or_else(|error| {
            self.away = Some(error);
            vec![None; keys.len()]
        });
        for ((missing, _), stored) in follow.into_iter().zip(stored) {
            // To be refreshed, whatever is there.
            let stored = stored.filter(|_| missing.mode != LeaseMode::Refresh);
            match stored {
                None => again.push(missing),
                Some(stored) => match self.take(missing, stored) {
                    Taken::Found(at, found) => {
                        cache::saw(Sight::Load);
                        answers[at] = Some(found);
                    }
                    Taken::OfNoUse(missing) => again.push(missing),
                },
            }
        }
    }
}
