//! One state of everything: database, backend, processes, callers, and what is under way between them.

use std::hash::{Hash, Hasher};

use crate::backend::{Entry, Lease, LeaseMode, Token, Version};
use crate::configuration::{Configuration, Faults, Kind};

/// The most of each that a configuration may have. Small, as every state holds them all.
pub(crate) const KEYS: usize = 2;
/// Processes.
pub(crate) const PROCESSES: usize = 2;
/// Readers of all processes.
pub(crate) const READERS: usize = 4;
/// Writers of all processes.
pub(crate) const WRITERS: usize = 3;
/// Operations that nobody waits for any more.
const WIRE: usize = 6;

/// One state of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The database: the version of each row.
    pub rows: [Version; KEYS],
    /// The backend.
    pub entries: [Entry; KEYS],
    /// What each process knows by itself.
    pub processes: [Process; PROCESSES],
    /// Calls of cached functions.
    pub readers: [Reader; READERS],
    /// Calls of writers.
    pub writers: [Writer; WRITERS],
    /// Operations whose callers wait no more: they may be carried out at any time, or never.
    pub wire: [Option<Operation>; WIRE],
    /// The faults that may still come.
    pub left: Faults,
    /// For `strict`: what a read that begins now must not fall behind, which is what any read or write has returned.
    pub seen: [Version; KEYS],
    /// Whether a writer was lost between its commit and its invalidation.
    pub owed_by_the_dead: [bool; KEYS],
    /// The promise that was broken.
    pub broken: Option<Broken>,
}

/// A promise that was broken by a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broken {
    /// A read began after an invalidation had returned, and got what was loaded before that.
    Older,
    /// A strict read got less than another had returned before it began.
    WentBack,
}

/// What a process knows by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Whether the breaker is open.
    pub is_open: bool,
    /// The keys whose invalidation could not be delivered.
    pub backlog: [bool; KEYS],
    /// What a read that begins here now has to see, as an invalidation has returned.
    pub floor: [Version; KEYS],
    /// The same, of this process's own writers.
    pub own_floor: [Version; KEYS],
}

/// The place of a reader in [`State::readers`].
pub type ReaderId = u8;

/// Whose load a caller may join: `stampede::flight::Join`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Join {
    /// The load under this lease, or those of this generation of writes.
    Token(Token),
    /// Any of the key (`eventual`).
    KeyAlone,
    /// While the backend is away: whether this process has invalidated the key since.
    Away {
        /// Whether it has not.
        is_current: bool,
    },
    /// One that began after the caller did.
    Later,
}

/// What the backend answered to a question for the lease: `stampede::flight::Told`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Told {
    /// An answer.
    Lease(Lease),
    /// None.
    Away,
}

/// Where a call is. The steps that lead from one to the next are [`Step`](crate::protocol::Step)s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Has not begun.
    Idle,
    /// Has found no value, and will ask for the lease.
    Missed,
    /// Waits for the answer to another caller's question.
    Asking(ReaderId),
    /// Has asked for the lease, for all those who wait for the answer.
    Asked(Told),
    /// Has the answer of another's question.
    Told(Told),
    /// Waits for another's load, to take its result.
    Joined(ReaderId),
    /// Waits for another's load, to load or join a later one.
    WaitsToLoad(ReaderId),
    /// Does so next.
    JoinsLater,
    /// Waits for a lease that another process holds.
    Follows(Token),
    /// Has looked for the value after that.
    Followed(Option<Version>),
    /// Runs the loader's body, under a lease or without.
    Loads(Option<Token>),
    /// The body has read the row, and is about to return.
    Loaded(Option<Token>, Version),
    /// Has returned.
    Done,
    /// Its process is gone.
    Dead,
}

/// A task that calls a cached function, one call after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reader {
    /// Where it runs.
    pub process: u8,
    /// Where its call is.
    pub phase: Phase,
    /// Of which key.
    pub key: u8,
    /// The calls that it has still to begin.
    pub calls: u8,
    /// In which mode it asks for the lease.
    pub mode: LeaseMode,
    /// The flight that it leads.
    pub leads: Option<Join>,
    /// Whether its load is under a lease that nothing has ended.
    pub is_current: bool,
    /// What it has to see: the process's floor when it began.
    pub needs: Version,
    /// The same, of the process's own writers alone.
    pub needs_of_own: Version,
    /// What it must not fall behind, for `strict`.
    pub has_seen: Version,
    /// Which readers' [`Join::Later`] flights began after its call.
    pub later_loads: u8,
    /// Which readers' questions did.
    pub later_questions: u8,
    /// The holder of the lease that was last waited for.
    pub holder: Option<Token>,
    /// How many leases it has waited for in vain.
    pub passed_by: u8,
}

/// Where a writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Has not begun, or has announced its first keys.
    Announcing(u8),
    /// Runs its body.
    Running,
    /// The body has committed; the end of the write is owed for this key and those after it.
    Committed(u8),
    /// The end of the write of this key was lost: an invalidation is owed.
    EndLost(u8),
    /// Has returned.
    Done,
    /// Was dropped, or died, while its commit was under way.
    Orphaned,
    /// Died.
    Dead,
}

/// A call of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer {
    /// Where it runs.
    pub process: u8,
    /// What it does.
    pub kind: Kind,
    /// Whether it writes both keys, in one transaction.
    pub both: bool,
    /// Where it is.
    pub stage: Stage,
    /// Its intents.
    pub tokens: [Option<Token>; KEYS],
    /// Whether every intent was confirmed.
    pub is_confirmed: bool,
    /// What it has committed.
    pub wrote: [Version; KEYS],
}

/// An operation that nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `lease`
    Lease(u8, Token, LeaseMode),
    /// `fill`
    Fill(u8, Token, Version),
    /// `put`
    Put(u8, Version),
    /// `release`
    Release(u8, Token),
    /// `invalidate`
    Invalidate(u8),
    /// `begin_write`
    BeginWrite(u8, Token),
    /// `end_write`
    EndWrite(u8, Token, Option<Version>),
    /// `put_if_newer`
    PutIfNewer(u8, Version),
}

impl Phase {
    /// Whether a call is under way.
    pub fn is_in_call(self) -> bool {
        !matches!(self, Self::Idle | Self::Done | Self::Dead)
    }

    /// Whether a load is under way, and its lease.
    pub fn lease(self) -> Option<Token> {
        match self {
            Self::Asked(Told::Lease(Lease::Granted(token))) => Some(token),
            Self::Loads(lease) | Self::Loaded(lease, _) => lease,
            _ => None,
        }
    }

    /// Whether the body runs.
    pub fn is_load(self) -> bool {
        matches!(self, Self::Loads(_) | Self::Loaded(..))
    }
}

impl Reader {
    fn new(process: u8, calls: u8) -> Self {
        Self {
            process,
            phase: if calls > 0 { Phase::Idle } else { Phase::Done },
            key: 0,
            calls,
            mode: LeaseMode::IfMissing,
            leads: None,
            is_current: false,
            needs: 0,
            needs_of_own: 0,
            has_seen: 0,
            later_loads: 0,
            later_questions: 0,
            holder: None,
            passed_by: 0,
        }
    }

    /// The reader after its call, however that has ended.
    pub(crate) fn after_call(&self) -> Self {
        Self::new(self.process, self.calls)
    }
}

impl Writer {
    /// Whether it writes this key.
    pub fn writes(&self, key: u8) -> bool {
        key == 0 || self.both
    }

    /// How many keys it writes.
    pub(crate) fn keys(&self) -> u8 {
        if self.both { 2 } else { 1 }
    }

    /// Whether it is between its commit and what it owes for this key.
    pub(crate) fn owes(&self, key: u8) -> bool {
        match self.stage {
            Stage::Committed(at) | Stage::EndLost(at) => self.writes(key) && key >= at,
            _ => false,
        }
    }
}

impl State {
    /// Before anything has happened.
    pub fn new(configuration: &Configuration) -> Self {
        let nobody = Writer {
            process: 0,
            kind: Kind::Invalidates,
            both: false,
            stage: Stage::Done,
            tokens: [None; KEYS],
            is_confirmed: true,
            wrote: [0; KEYS],
        };
        let mut state = Self {
            rows: [1; KEYS],
            entries: [Entry::default(); KEYS],
            processes: [Process::default(); PROCESSES],
            readers: [Reader::new(0, 0); READERS],
            writers: [nobody; WRITERS],
            wire: [None; WIRE],
            left: configuration.faults,
            seen: [0; KEYS],
            owed_by_the_dead: [false; KEYS],
            broken: None,
        };
        for (place, process) in state.readers.iter_mut().zip(configuration.readers) {
            *place = Reader::new(*process, configuration.calls);
        }
        for (place, writer) in state.writers.iter_mut().zip(configuration.writers) {
            *place = Writer {
                process: writer.process,
                kind: writer.kind,
                both: writer.both,
                stage: if writer.kind.is_announced() {
                    Stage::Announcing(0)
                } else {
                    Stage::Running
                },
                ..nobody
            };
        }
        if configuration.begins_filled {
            for (entry, row) in state.entries.iter_mut().zip(state.rows) {
                entry.value = Some(row);
            }
        }
        state
    }

    /// Runs `visit` on every token in the state, always in the same order.
    pub(crate) fn each_token(&mut self, mut visit: impl FnMut(&mut Token)) {
        for entry in &mut self.entries {
            entry.lease.iter_mut().for_each(&mut visit);
            entry.generation.iter_mut().for_each(&mut visit);
            for intent in entry.intents.iter_mut().flatten() {
                visit(&mut intent.token);
            }
        }
        for reader in &mut self.readers {
            each_token_of(reader, &mut visit);
        }
        for writer in &mut self.writers {
            writer.tokens.iter_mut().flatten().for_each(&mut visit);
        }
        for operation in self.wire.iter_mut().flatten() {
            match operation {
                Operation::Lease(_, token, _)
                | Operation::Fill(_, token, _)
                | Operation::Release(_, token)
                | Operation::BeginWrite(_, token)
                | Operation::EndWrite(_, token, _) => visit(token),
                Operation::Put(..) | Operation::Invalidate(_) | Operation::PutIfNewer(..) => {}
            }
        }
    }

    /// A token that nobody knows: `Token::fresh`. Those that nobody knows any more are used again, so that states that differ in nothing
    /// else are one.
    pub(crate) fn fresh(&self) -> Token {
        let mut used = 0u64;
        let mut copy = *self;
        copy.each_token(|token| used |= 1 << token.0);
        Token(used.trailing_ones() as u8)
    }

    /// Sends an operation that nobody waits for.
    pub(crate) fn send(&mut self, operation: Operation) {
        let free = self.wire.iter_mut().find(|place| place.is_none());
        *free.expect("no more lost operations than places") = Some(operation);
        self.sort_wire();
    }

    /// Whether another operation may be lost. One loss sends three at most.
    pub(crate) fn has_room_on_wire(&self) -> bool {
        self.wire.iter().flatten().count() + 3 <= WIRE
    }

    pub(crate) fn sort_wire(&mut self) {
        self.wire.sort_by_key(|place| (place.is_none(), *place));
    }

    /// The readers of the same process and key as this one, but for itself.
    pub(crate) fn others(&self, of: ReaderId) -> impl Iterator<Item = ReaderId> + use<> {
        let (readers, me) = (self.readers, self.readers[usize::from(of)]);
        (0..READERS as u8).filter(move |&id| {
            let other = &readers[usize::from(id)];
            id != of
                && other.phase.is_in_call()
                && other.process == me.process
                && other.key == me.key
        })
    }
}

pub(crate) fn each_token_of(reader: &mut Reader, mut visit: impl FnMut(&mut Token)) {
    match &mut reader.phase {
        Phase::Asked(Told::Lease(
            Lease::Granted(token) | Lease::Busy(token) | Lease::Bypass(token),
        ))
        | Phase::Told(Told::Lease(
            Lease::Granted(token) | Lease::Busy(token) | Lease::Bypass(token),
        ))
        | Phase::Follows(token)
        | Phase::Loads(Some(token))
        | Phase::Loaded(Some(token), _) => visit(token),
        _ => {}
    }
    if let Some(Join::Token(token)) = &mut reader.leads {
        visit(token);
    }
    if let Some(holder) = &mut reader.holder {
        visit(holder);
    }
}

impl Hash for State {
    /// Hundreds of fields of a byte each: collected first, they are one write to the hasher and not hundreds.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut bytes = Bytes {
            bytes: [0; 512],
            length: 0,
        };
        self.rows.hash(&mut bytes);
        self.entries.hash(&mut bytes);
        self.processes.hash(&mut bytes);
        self.readers.hash(&mut bytes);
        self.writers.hash(&mut bytes);
        self.wire.hash(&mut bytes);
        self.left.hash(&mut bytes);
        self.seen.hash(&mut bytes);
        self.owed_by_the_dead.hash(&mut bytes);
        self.broken.hash(&mut bytes);
        hasher.write(&bytes.bytes[..bytes.length]);
    }
}

/// Takes down what is hashed.
struct Bytes {
    bytes: [u8; 512],
    length: usize,
}

impl Hasher for Bytes {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn write_u8(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    /// The variant of an enum. None has as many as a byte counts.
    fn write_isize(&mut self, variant: isize) {
        self.write_u8(variant as u8);
    }

    /// The length of an array, which is always the same.
    fn write_usize(&mut self, _: usize) {}
}
