//! The steps that lead from one state to the next.

use stateright::{Model, Property};

use crate::Mutant;
use crate::backend::{Entry, Token};
use crate::configuration::{Configuration, Level};
use crate::promises;
use crate::state::{Phase, Process, Reader, ReaderId, Stage, State, Told};

/// The protocol among the members of a configuration.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// Who takes part, and what may go wrong.
    pub configuration: Configuration,
    /// The mechanism that is taken out.
    pub without: Option<Mutant>,
}

/// A step of a caller, or an operation of the backend. One that a caller sends may get lost instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A call begins and looks up this key.
    Get(ReaderId, u8),
    /// The same, and finds a value that is past its TTL.
    GetExpired(ReaderId, u8),
    /// Asks for the lease, or joins who does.
    Lease(ReaderId),
    /// Acts on the answer.
    Answer(ReaderId),
    /// Loads or joins a load that began after the call.
    JoinLater(ReaderId),
    /// The wait for a lease is over.
    Wait(ReaderId),
    /// Acts on the value that was there then.
    Followed(ReaderId),
    /// The loader reads the row.
    Load(ReaderId),
    /// Stores the value and wakes those who wait.
    Fill(ReaderId),
    /// The loader fails.
    LoadFails(ReaderId),
    /// Extends the lease.
    Renew(ReaderId),
    /// The call is dropped.
    DropReader(ReaderId),
    /// Announces the write.
    BeginWrite(usize),
    /// The body commits.
    Commit(usize),
    /// Ends the write: `end_write`, `put_if_newer` or `invalidate`.
    EndWrite(usize),
    /// Invalidates after an end that was lost.
    Invalidate(usize),
    /// The call is dropped.
    DropWriter(usize),
    /// The commit of a writer that is gone comes all the same.
    CommitLate(usize),
    /// A lost operation is carried out.
    Arrive(usize),
    /// A lease ends.
    ExpireLease(u8),
    /// An intent ends.
    ExpireIntent(u8, Token),
    /// A value leaves.
    Evict(u8),
    /// The backend loses everything.
    Flush,
    /// A process is killed.
    Crash(u8),
    /// A process finds the backend away.
    OpenBreaker(u8),
    /// A kept invalidation is delivered.
    Deliver(u8, u8),
    /// The backend is back.
    CloseBreaker(u8),
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The step is taken.
    Step(Step),
    /// The operation of this step gets no answer.
    Lost(Step),
}

/// One step, on its way from a state to the next.
pub(crate) struct Turn<'a> {
    pub(crate) model: &'a Protocol,
    pub(crate) now: State,
}

impl Turn<'_> {
    pub(crate) fn reader(&mut self, id: ReaderId) -> &mut Reader {
        &mut self.now.readers[usize::from(id)]
    }

    pub(crate) fn entry(&mut self, key: u8) -> &mut Entry {
        &mut self.now.entries[usize::from(key)]
    }

    pub(crate) fn process_of(&self, id: ReaderId) -> &Process {
        let process = self.now.readers[usize::from(id)].process;
        &self.now.processes[usize::from(process)]
    }

    pub(crate) fn is_open(&self, process: u8) -> bool {
        self.now.processes[usize::from(process)].is_open
    }

    fn take(&mut self, step: Step, is_lost: bool) {
        match step {
            Step::Get(id, key) => self.get(id, key, is_lost),
            Step::GetExpired(id, key) => {
                self.now.left.expiries -= 1;
                self.get_expired(id, key);
            }
            Step::Lease(id) => self.ask(id, is_lost),
            Step::Answer(id) => self.answer(id),
            Step::JoinLater(id) => self.join_later(id),
            Step::Wait(id) => self.follow(id, is_lost),
            Step::Followed(id) => self.followed(id),
            Step::Load(id) => self.load(id),
            Step::Fill(id) => self.fill(id, is_lost),
            Step::LoadFails(id) => {
                self.now.left.failures -= 1;
                self.fail(id);
            }
            Step::Renew(id) => self.renew(id),
            Step::DropReader(id) => {
                self.now.left.drops -= 1;
                self.drop_reader(id);
            }
            Step::BeginWrite(id) => self.begin_write(id, is_lost),
            Step::Commit(id) | Step::CommitLate(id) => self.commit(id),
            Step::EndWrite(id) => self.end_write(id, is_lost),
            Step::Invalidate(id) => self.invalidate_after(id, is_lost),
            Step::DropWriter(id) => {
                self.now.left.drops -= 1;
                self.drop_writer(id);
            }
            Step::Arrive(at) => self.arrive(at),
            Step::ExpireLease(key) => self.expire_lease(key),
            Step::ExpireIntent(key, token) => self.expire_intent(key, token),
            Step::Evict(key) => {
                self.now.left.evictions -= 1;
                let cut = self.model.without;
                self.entry(key).evict(cut);
            }
            Step::Flush => {
                self.now.left.flushes -= 1;
                self.flush();
            }
            Step::Crash(process) => {
                self.now.left.crashes -= 1;
                self.crash(process);
            }
            Step::OpenBreaker(process) => {
                self.now.left.outages -= 1;
                self.now.processes[usize::from(process)].is_open = true;
            }
            Step::Deliver(process, key) => self.deliver(process, key),
            Step::CloseBreaker(process) => {
                self.now.processes[usize::from(process)].is_open = false;
            }
        }
    }
}

/// The actions that a state allows.
struct Allowed<'a> {
    turn: Turn<'a>,
    actions: &'a mut Vec<Action>,
}

impl Allowed<'_> {
    fn step(&mut self, step: Step) {
        self.actions.push(Action::Step(step));
    }

    /// A step that sends an operation. A process whose breaker is open sends none.
    fn sends(&mut self, process: u8, step: Step) {
        self.step(step);
        let now = &self.turn.now;
        if now.left.losses > 0 && now.has_room_on_wire() && !self.turn.is_open(process) {
            self.actions.push(Action::Lost(step));
        }
    }

    fn of_reader(&mut self, id: ReaderId) {
        let reader = *self.turn.reader(id);
        let (left, process) = (self.turn.now.left, reader.process);
        match reader.phase {
            Phase::Idle => {
                for key in 0..self.turn.model.configuration.keys {
                    self.sends(process, Step::Get(id, key));
                    let has_value = self.turn.entry(key).value.is_some();
                    if has_value && left.expiries > 0 && !self.turn.is_open(process) {
                        self.step(Step::GetExpired(id, key));
                    }
                }
            }
            Phase::Missed if self.turn.question(id).is_some() => self.step(Step::Lease(id)),
            Phase::Missed => self.sends(process, Step::Lease(id)),
            Phase::Asked(_) | Phase::Told(_) => self.step(Step::Answer(id)),
            Phase::JoinsLater => self.step(Step::JoinLater(id)),
            Phase::Follows(holder) => {
                let stands = self.turn.entry(reader.key).lease == Some(holder);
                let early = self.turn.model.configuration.wakes_early;
                if !stands || early || self.turn.is_open(process) {
                    self.sends(process, Step::Wait(id));
                }
            }
            Phase::Followed(_) => self.step(Step::Followed(id)),
            Phase::Loads(_) => {
                self.step(Step::Load(id));
                if left.failures > 0 {
                    self.step(Step::LoadFails(id));
                }
            }
            Phase::Loaded(Some(_), _) => self.sends(process, Step::Fill(id)),
            Phase::Loaded(None, _) => self.step(Step::Fill(id)),
            Phase::Asking(_) | Phase::Joined(_) | Phase::WaitsToLoad(_) => {}
            Phase::Done | Phase::Dead => {}
        }
        // It changes nothing, but for the mutant that it is there for.
        if reader.phase.is_load() && self.turn.model.without == Some(Mutant::RenewRevives) {
            self.step(Step::Renew(id));
        }
        let leads = reader.leads.is_some() || matches!(reader.phase, Phase::Asked(_));
        if left.drops > 0 && leads && self.turn.now.has_room_on_wire() {
            self.step(Step::DropReader(id));
        }
    }

    fn of_writer(&mut self, id: usize) {
        let writer = self.turn.now.writers[id];
        let process = writer.process;
        match writer.stage {
            Stage::Announcing(_) => self.sends(process, Step::BeginWrite(id)),
            Stage::Running => {
                let mut before = self.turn.now.writers[..id].iter();
                let in_order = self.turn.model.configuration.commits_in_order;
                if !in_order || before.all(|writer| writer.wrote[0] > 0) {
                    self.step(Step::Commit(id));
                }
            }
            Stage::Committed(_) => self.sends(process, Step::EndWrite(id)),
            Stage::EndLost(_) => self.sends(process, Step::Invalidate(id)),
            Stage::Orphaned if self.turn.may_commit_late(&writer) => {
                self.step(Step::CommitLate(id));
            }
            Stage::Orphaned | Stage::Done | Stage::Dead => {}
        }
        let may_drop = writer.kind.is_announced()
            && matches!(writer.stage, Stage::Running | Stage::Committed(_));
        if may_drop && self.turn.now.left.drops > 0 && self.turn.now.has_room_on_wire() {
            self.step(Step::DropWriter(id));
        }
    }

    fn of_backend(&mut self) {
        for at in 0..self.turn.now.wire.len() {
            if self.turn.now.wire[at].is_some() {
                self.step(Step::Arrive(at));
            }
        }
        let left = self.turn.now.left;
        for key in 0..self.turn.model.configuration.keys {
            let entry = *self.turn.entry(key);
            if self.turn.may_expire_lease(key) {
                self.step(Step::ExpireLease(key));
            }
            for intent in entry.intents.iter().flatten() {
                if self.turn.may_expire_intent(key, intent.token) {
                    self.step(Step::ExpireIntent(key, intent.token));
                }
            }
            if left.evictions > 0 && entry.value.is_some() {
                self.step(Step::Evict(key));
            }
        }
        if left.flushes > 0 {
            self.step(Step::Flush);
        }
    }

    fn of_process(&mut self, id: u8) {
        let process = self.turn.now.processes[usize::from(id)];
        let left = self.turn.now.left;
        if left.crashes > 0 {
            self.step(Step::Crash(id));
        }
        if left.outages > 0 && !process.is_open {
            self.step(Step::OpenBreaker(id));
        }
        let owes = process.backlog.contains(&true);
        for (key, _) in (0..).zip(process.backlog).filter(|(_, kept)| *kept) {
            self.step(Step::Deliver(id, key));
        }
        let early = self.turn.model.without == Some(Mutant::BreakerClosesEarly);
        if process.is_open && (!owes || early) {
            self.step(Step::CloseBreaker(id));
        }
    }

    fn processes(&self) -> u8 {
        let configuration = &self.turn.model.configuration;
        let of_writers = configuration.writers.iter().map(|writer| writer.process);
        let all = configuration.readers.iter().copied().chain(of_writers);
        all.max().map_or(0, |last| last + 1)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.configuration)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // Nothing that comes after a broken promise is of interest.
        if state.broken.is_some() {
            return;
        }
        let turn = Turn {
            model: self,
            now: *state,
        };
        let mut allowed = Allowed { turn, actions };
        for id in 0..state.readers.len() {
            allowed.of_reader(id as ReaderId);
        }
        for id in 0..state.writers.len() {
            allowed.of_writer(id);
        }
        allowed.of_backend();
        for id in 0..allowed.processes() {
            allowed.of_process(id);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut turn = Turn {
            model: self,
            now: *last,
        };
        match action {
            Action::Step(step) => turn.take(step, false),
            Action::Lost(step) => {
                turn.now.left.losses -= 1;
                turn.take(step, true);
            }
        }
        Some(turn.now)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::of(self)
    }
}

impl Protocol {
    /// The whole protocol.
    pub fn of(configuration: Configuration) -> Self {
        Self {
            configuration,
            without: None,
        }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.configuration.level == Level::Strict
    }

    pub(crate) fn turn(&self, state: &State) -> Turn<'_> {
        Turn {
            model: self,
            now: *state,
        }
    }
}

impl Phase {
    /// Whether the caller was told that a write is in progress.
    pub(crate) fn was_told(self, what: fn(Told) -> bool) -> bool {
        matches!(self, Self::Asked(told) | Self::Told(told) if what(told))
    }
}
