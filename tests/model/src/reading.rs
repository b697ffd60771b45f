//! What a call of a cached function does: `pattern/read.rs`, `aside.rs` and `loading.rs`, step by step and under their names.

use crate::Mutant;
use crate::backend::{Lease, LeaseMode, Token, Version};
use crate::configuration::Level;
use crate::protocol::Turn;
use crate::state::{Broken, Join, Operation, Phase, ReaderId, Told};

fn bit(id: ReaderId) -> u8 {
    1 << id
}

impl Turn<'_> {
    fn level(&self) -> Level {
        self.model.configuration.level
    }

    /// `read::later`: the look-up. A call begins with it.
    pub(crate) fn get(&mut self, id: ReaderId, key: u8, is_lost: bool) {
        let value = self.entry(key).value;
        let is_open = self.begin_call(id, key);
        if is_open || is_lost {
            return self.reader(id).phase = Phase::Told(Told::Away);
        }
        match value {
            Some(value) => self.finish(id, value),
            None => self.reader(id).phase = Phase::Missed,
        }
    }

    /// The look-up finds a value that is past its TTL: it is to be replaced.
    pub(crate) fn get_expired(&mut self, id: ReaderId, key: u8) {
        let Some(value) = self.entry(key).value else {
            return;
        };
        self.begin_call(id, key);
        self.reader(id).mode = LeaseMode::IfStill(value);
        self.reader(id).phase = Phase::Missed;
    }

    fn begin_call(&mut self, id: ReaderId, key: u8) -> bool {
        let is_strict = self.level() == Level::Strict;
        let (process, seen) = (*self.process_of(id), self.now.seen);
        let at = usize::from(key);
        let reader = self.reader(id);
        reader.calls -= 1;
        reader.key = key;
        reader.needs = process.floor[at];
        reader.needs_of_own = process.own_floor[at];
        reader.has_seen = if is_strict { seen[at] } else { 0 };
        process.is_open
    }

    /// `Call::ask_with_others`, and `Call::by_key_alone` before it for `eventual`: joins a question, or asks the backend for the lease.
    pub(crate) fn ask(&mut self, id: ReaderId, is_lost: bool) {
        if self.level() == Level::Eventual {
            match self.board(id, Join::KeyAlone) {
                Some(leader) => return self.reader(id).phase = Phase::Joined(leader),
                None => self.reader(id).leads = Some(Join::KeyAlone),
            }
        } else if let Some(asker) = self.question(id) {
            return self.reader(id).phase = Phase::Asking(asker);
        }
        if self.process_of(id).is_open {
            return self.act(id, Told::Away);
        }
        let token = self.fresh_for_load(id);
        if self.level() != Level::Eventual {
            self.reader(id).leads = Some(Join::Token(token));
        }
        for other in self.now.others(id) {
            self.reader(other).later_questions |= bit(id);
        }
        let (key, mode) = (self.reader(id).key, self.reader(id).mode);
        let told = if is_lost {
            // `PendingLease::drop_after`.
            self.now.send(Operation::Lease(key, token, mode));
            self.now.send(Operation::Release(key, token));
            Told::Away
        } else {
            let cut = self.model.without;
            Told::Lease(self.entry(key).lease(cut, token, mode))
        };
        let reader = self.reader(id);
        reader.phase = Phase::Asked(told);
        reader.is_current = reader.phase.lease().is_some();
    }

    /// Another caller's question of this process, that is under way.
    pub(crate) fn question(&self, id: ReaderId) -> Option<ReaderId> {
        let mode = self.now.readers[usize::from(id)].mode;
        let mut others = self.now.others(id);
        others.find(|&other| {
            let other = &self.now.readers[usize::from(other)];
            self.model.configuration.is_remote
                && matches!(other.phase, Phase::Asked(_))
                && other.mode == mode
        })
    }

    fn fresh_for_load(&self, id: ReaderId) -> Token {
        if self.model.without == Some(Mutant::TokenPerProcess) {
            return Token(40 + self.now.readers[usize::from(id)].process);
        }
        self.now.fresh()
    }

    /// The answer arrives: those who wait for it and began before the question was asked may have it. Then `Call::by_lease`.
    pub(crate) fn answer(&mut self, id: ReaderId) {
        let told = match self.reader(id).phase {
            Phase::Asked(told) => {
                self.land_question(id, told);
                told
            }
            Phase::Told(told) => told,
            _ => return,
        };
        self.act(id, told);
    }

    fn land_question(&mut self, id: ReaderId, told: Told) {
        let to_others = match told {
            Told::Lease(Lease::Granted(token)) => Told::Lease(Lease::Busy(token)),
            told => told,
        };
        let any = self.model.without == Some(Mutant::AnswerOfAnyQuestion);
        for other in &mut self.now.readers {
            let in_time = other.later_questions & bit(id) != 0;
            other.later_questions &= !bit(id);
            if other.phase == Phase::Asking(id) {
                other.phase = if in_time || any {
                    Phase::Told(to_others)
                } else {
                    Phase::Missed
                };
            }
        }
    }

    fn act(&mut self, id: ReaderId, told: Told) {
        let by_key_alone = self.level() == Level::Eventual;
        match told {
            Told::Lease(Lease::Granted(token)) => {
                self.reader(id).phase = Phase::Loads(Some(token));
            }
            Told::Lease(Lease::Hit(value)) => {
                self.depart(id, by_key_alone.then_some(value));
                self.finish(id, value);
            }
            Told::Lease(Lease::Busy(holder)) if by_key_alone => {
                self.reader(id).phase = Phase::Follows(holder);
            }
            Told::Lease(Lease::Bypass(_)) if by_key_alone => {
                self.reader(id).phase = Phase::Loads(None);
            }
            Told::Lease(Lease::Busy(holder)) => {
                self.depart(id, None);
                self.await_holder(id, holder);
            }
            Told::Lease(Lease::Bypass(generation)) => {
                self.depart(id, None);
                self.beside_a_write(id, generation);
            }
            Told::Away => {
                self.depart(id, None);
                self.without_backend(id);
            }
        }
    }

    /// `Call::await_holder`.
    fn await_holder(&mut self, id: ReaderId, holder: Token) {
        let most = self.model.configuration.passed_by;
        if most > 0 {
            let before = self.reader(id).holder.replace(holder);
            let is_another = before.is_some_and(|before| before != holder);
            self.reader(id).passed_by += u8::from(is_another);
            if self.reader(id).passed_by >= most {
                return self.join_later(id);
            }
        }
        if self.model.without == Some(Mutant::JoinNobody) {
            return self.reader(id).phase = Phase::Loads(None);
        }
        self.reader(id).phase = match self.board(id, Join::Token(holder)) {
            Some(leader) => Phase::Joined(leader),
            None => Phase::Follows(holder),
        };
    }

    /// `Call::beside_a_write`.
    fn beside_a_write(&mut self, id: ReaderId, generation: Token) {
        let by_generation = self.model.without == Some(Mutant::StrictJoinsByGeneration);
        if self.level() == Level::Strict && !by_generation {
            return self.join_later(id);
        }
        self.join_or_load(id, Join::Token(generation));
    }

    /// `Call::without_backend`.
    fn without_backend(&mut self, id: ReaderId) {
        let is_open = self.process_of(id).is_open;
        let late = self.model.without == Some(Mutant::LateAnswerCountsAsAway);
        if self.level() == Level::Strict || !(is_open || late) {
            return self.join_later(id);
        }
        self.join_or_load(id, Join::Away { is_current: true });
        if is_open && matches!(self.reader(id).phase, Phase::Joined(_)) {
            // What other processes have invalidated this one cannot know.
            self.reader(id).needs = self.reader(id).needs_of_own;
        }
    }

    fn join_or_load(&mut self, id: ReaderId, join: Join) {
        self.reader(id).phase = match self.board(id, join) {
            Some(leader) => Phase::Joined(leader),
            None => Phase::Loads(None),
        };
    }

    /// `Call::join_later`.
    pub(crate) fn join_later(&mut self, id: ReaderId) {
        let later = self.reader(id).later_loads;
        let any = self.model.without == Some(Mutant::LaterTakesAny);
        self.reader(id).phase = match self.board(id, Join::Later) {
            None => Phase::Loads(None),
            Some(leader) if later & bit(leader) != 0 || any => Phase::Joined(leader),
            Some(leader) => Phase::WaitsToLoad(leader),
        };
    }

    /// `Flights::board`: who leads the flight, or nobody and then this caller does.
    fn board(&mut self, id: ReaderId, join: Join) -> Option<ReaderId> {
        let any = self.model.without == Some(Mutant::JoinByKeyAlone);
        let leader = self.now.others(id).find(|&other| {
            let other = &self.now.readers[usize::from(other)];
            other.leads == Some(join) || any && other.phase.is_load()
        });
        if leader.is_none() {
            self.reader(id).leads = Some(join);
            if join == Join::Later {
                for other in self.now.others(id) {
                    self.reader(other).later_loads |= bit(id);
                }
            }
        }
        leader
    }

    /// `Call::follow`: the wait is over, and the value looked up.
    pub(crate) fn follow(&mut self, id: ReaderId, is_lost: bool) {
        if self.process_of(id).is_open || is_lost {
            self.depart(id, None);
            return self.without_backend(id);
        }
        let key = self.reader(id).key;
        self.reader(id).phase = Phase::Followed(self.entry(key).value);
    }

    /// The rest of `Call::follow`: takes the value, and hands it to those who have joined, or asks again.
    pub(crate) fn followed(&mut self, id: ReaderId) {
        let Phase::Followed(found) = self.reader(id).phase else {
            return;
        };
        let mode = self.reader(id).mode;
        // `Call::may_take`.
        match found.filter(|&value| mode != LeaseMode::IfStill(value)) {
            Some(value) => {
                self.depart(id, Some(value));
                self.finish(id, value);
            }
            None => {
                self.depart(id, None);
                self.reader(id).phase = Phase::Missed;
            }
        }
    }

    /// `Loading::run`: the body reads the row.
    pub(crate) fn load(&mut self, id: ReaderId) {
        let row = self.now.rows[usize::from(self.reader(id).key)];
        let lease = self.reader(id).phase.lease();
        self.reader(id).phase = Phase::Loaded(lease, row);
    }

    /// `Loading::store` and then `Seat::land_for_others`.
    pub(crate) fn fill(&mut self, id: ReaderId, is_lost: bool) {
        let Phase::Loaded(lease, value) = self.reader(id).phase else {
            return;
        };
        let key = self.reader(id).key;
        let is_open = self.process_of(id).is_open;
        let cut = self.model.without;
        match lease {
            // The lease is left to expire: its release fails too.
            Some(_) if is_open => {}
            Some(token) if is_lost => {
                self.now.send(match self.level() {
                    Level::Eventual => Operation::Put(key, value),
                    Level::Fenced | Level::Strict => Operation::Fill(key, token, value),
                });
                self.now.send(Operation::Release(key, token));
            }
            Some(_) if self.level() == Level::Eventual => self.put(key, value),
            Some(token) => {
                self.entry(key).fill(cut, token, value);
            }
            None if cut == Some(Mutant::BypassStores) => self.entry(key).value = Some(value),
            None => {}
        }
        self.depart(id, Some(value));
        self.finish(id, value);
    }

    /// The body fails: `Held::give_up`. Those who have joined ask again.
    pub(crate) fn fail(&mut self, id: ReaderId) {
        let cut = self.model.without;
        let key = self.reader(id).key;
        if let Some(token) = self.reader(id).phase.lease()
            && !self.process_of(id).is_open
        {
            self.entry(key).release(cut, token);
        }
        self.depart(id, None);
        let reader = self.reader(id);
        *reader = reader.after_call();
    }

    /// The caller is dropped, or panics: `Drop` of `Seat` and of `GrantedLease`.
    pub(crate) fn drop_reader(&mut self, id: ReaderId) {
        let cut = self.model.without;
        let key = self.reader(id).key;
        if let Some(token) = self.reader(id).phase.lease()
            && !self.process_of(id).is_open
            && cut != Some(Mutant::LeaseNotReleased)
        {
            self.now.send(Operation::Release(key, token));
        }
        for other in &mut self.now.readers {
            other.later_questions &= !bit(id);
            if other.phase == Phase::Asking(id) && cut != Some(Mutant::QuestionNotLanded) {
                other.phase = Phase::Missed;
            }
        }
        if cut != Some(Mutant::SeatNotLanded) {
            self.depart(id, None);
        }
        let reader = self.reader(id);
        *reader = reader.after_call();
    }

    /// `renew`, beside a load.
    pub(crate) fn renew(&mut self, id: ReaderId) {
        let cut = self.model.without;
        let key = self.reader(id).key;
        if let Some(token) = self.reader(id).phase.lease() {
            self.entry(key).renew(cut, token);
        }
    }

    /// Ends the flight that a reader leads: with a value for those who have joined, or else they ask again.
    fn depart(&mut self, id: ReaderId, landing: Option<Version>) {
        if self.reader(id).leads.take().is_none() {
            return;
        }
        for other in 0..self.now.readers.len() as ReaderId {
            let joined = self.reader(other);
            joined.later_loads &= !bit(id);
            match (joined.phase, landing) {
                (Phase::Joined(leader), Some(value)) if leader == id => self.finish(other, value),
                (Phase::Joined(leader), None) if leader == id => joined.phase = Phase::Missed,
                (Phase::WaitsToLoad(leader), _) if leader == id => {
                    joined.phase = Phase::JoinsLater;
                }
                _ => {}
            }
        }
    }

    /// The call returns a value: is it one that it may return?
    fn finish(&mut self, id: ReaderId, value: Version) {
        let reader = *self.reader(id);
        if value < reader.needs {
            self.now.broken = Some(Broken::Older);
        } else if value < reader.has_seen {
            self.now.broken = Some(Broken::WentBack);
        }
        if self.level() == Level::Strict {
            let seen = &mut self.now.seen[usize::from(reader.key)];
            *seen = value.max(*seen);
        }
        *self.reader(id) = reader.after_call();
    }
}
