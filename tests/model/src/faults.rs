//! What goes wrong, and what sets it right by itself.

use crate::Mutant;
use crate::backend::{Entry, Token, Version};
use crate::configuration::Kind;
use crate::protocol::Turn;
use crate::state::{Operation, PROCESSES, Phase, Process, Stage, State, Writer};

/// Whose an intent is.
enum Owner {
    /// Nobody's who could still end it.
    Nobody,
    /// That of a write in progress.
    Writing(Writer),
}

fn owner(state: &State, key: u8, token: Token) -> Owner {
    let of = state
        .writers
        .iter()
        .find(|writer| writer.tokens[usize::from(key)] == Some(token));
    match of {
        Some(writer) if !matches!(writer.stage, Stage::Orphaned | Stage::Dead) => {
            Owner::Writing(*writer)
        }
        _ => Owner::Nobody,
    }
}

impl Turn<'_> {
    /// Whether the lease of this key may expire now. That of a holder who lives does only if it hangs.
    pub(crate) fn may_expire_lease(&self, key: u8) -> bool {
        let Some(lease) = self.now.entries[usize::from(key)].lease else {
            return false;
        };
        self.model.without != Some(Mutant::LeaseWithoutExpiry)
            && (self.now.left.hangs > 0 || !self.is_held(key, lease))
    }

    fn is_held(&self, key: u8, lease: Token) -> bool {
        let mut readers = self.now.readers.iter();
        readers.any(|reader| reader.key == key && reader.phase.lease() == Some(lease))
    }

    /// A lease ends by its expiry. Its holder, if there is one, goes on later.
    pub(crate) fn expire_lease(&mut self, key: u8) {
        let Some(lease) = self.now.entries[usize::from(key)].lease else {
            return;
        };
        self.now.left.hangs -= u8::from(self.is_held(key, lease));
        self.entry(key).expire_lease();
        for reader in &mut self.now.readers {
            if reader.key == key && reader.phase.lease() == Some(lease) {
                reader.is_current = false;
            }
        }
    }

    /// Whether an intent may expire now. That of a strict write only after its commit, unless the configuration says otherwise: it is the
    /// one thing that strict writers have to see to themselves.
    pub(crate) fn may_expire_intent(&self, key: u8, token: Token) -> bool {
        let Owner::Writing(writer) = owner(&self.now, key, token) else {
            return true;
        };
        let before_commit = matches!(writer.stage, Stage::Announcing(_) | Stage::Running);
        let may = !(before_commit && writer.kind.is_strict())
            || self.model.configuration.outlives_its_intent;
        may && self.now.left.hangs > 0
    }

    /// An intent ends by its expiry.
    pub(crate) fn expire_intent(&mut self, key: u8, token: Token) {
        let hangs = matches!(owner(&self.now, key, token), Owner::Writing(_));
        self.now.left.hangs -= u8::from(hangs);
        let fresh = self.now.fresh();
        self.entry(key).expire_intent(token, fresh);
    }

    /// Whether the commit of a writer that is gone may still come. It comes before its intents expire, or never.
    pub(crate) fn may_commit_late(&self, writer: &Writer) -> bool {
        (0..writer.keys()).all(|key| self.has_intent(writer, key))
    }

    fn has_intent(&self, writer: &Writer, key: u8) -> bool {
        let token = writer.tokens[usize::from(key)];
        let mut intents = self.now.entries[usize::from(key)].intents.iter().flatten();
        intents.any(|intent| Some(intent.token) == token)
    }

    /// A process is killed. What it has sent may still arrive.
    pub(crate) fn crash(&mut self, process: u8) {
        for reader in &mut self.now.readers {
            if reader.process == process && reader.phase != Phase::Done {
                reader.calls = 0;
                *reader = reader.after_call();
                reader.phase = Phase::Dead;
            }
        }
        for id in 0..self.now.writers.len() {
            let writer = self.now.writers[id];
            if writer.process == process && !matches!(writer.stage, Stage::Done | Stage::Orphaned) {
                self.kill(id, writer);
            }
        }
        for (owed, kept) in self
            .now
            .owed_by_the_dead
            .iter_mut()
            .zip(self.now.processes[usize::from(process)].backlog)
        {
            *owed |= kept;
        }
        self.now.processes[usize::from(process)] = Process::default();
    }

    /// The writer is gone. If it had been announced its commit may still come.
    pub(crate) fn kill(&mut self, id: usize, writer: Writer) {
        for key in 0..writer.keys() {
            let has_intent = self.has_intent(&writer, key);
            self.now.owed_by_the_dead[usize::from(key)] |= writer.owes(key) && !has_intent;
        }
        let may_commit = writer.kind.is_announced() && writer.stage == Stage::Running;
        self.now.writers[id].stage = if may_commit {
            Stage::Orphaned
        } else {
            Stage::Dead
        };
    }

    /// The backend loses everything.
    pub(crate) fn flush(&mut self) {
        self.now.entries = [Entry::default(); _];
        for reader in &mut self.now.readers {
            reader.is_current = false;
        }
    }

    /// An operation that nobody waits for is carried out.
    pub(crate) fn arrive(&mut self, at: usize) {
        // Drawn while the operation's own token is still known.
        let fresh = self.now.fresh();
        let Some(operation) = self.now.wire[at].take() else {
            return;
        };
        self.now.sort_wire();
        self.carry_out_with(operation, fresh);
    }

    /// Whether anything on its way or in somebody's hands may still end this lease.
    pub(crate) fn is_let_go(&self, key: u8, lease: Token) -> bool {
        let release = Some(Operation::Release(key, lease));
        self.is_held(key, lease) || self.now.wire.contains(&release)
    }

    /// `Guarded::deliver`, of one key.
    pub(crate) fn deliver(&mut self, process: u8, key: u8) {
        self.now.processes[usize::from(process)].backlog[usize::from(key)] = false;
        self.carry_out(Operation::Invalidate(key));
        let owed = self.now.processes[usize::from(process)].own_floor[usize::from(key)];
        self.raise_floor(process, key, owed);
    }

    /// The backend carries an operation out.
    pub(crate) fn carry_out(&mut self, operation: Operation) {
        let fresh = self.now.fresh();
        self.carry_out_with(operation, fresh);
    }

    fn carry_out_with(&mut self, operation: Operation, fresh: Token) {
        let cut = self.model.without;
        match operation {
            Operation::Lease(key, token, mode) => {
                self.entry(key).lease(cut, token, mode);
            }
            Operation::Fill(key, token, value) => {
                self.entry(key).fill(cut, token, value);
            }
            Operation::Release(key, token) => self.entry(key).release(cut, token),
            Operation::Put(key, value) => self.put(key, value),
            Operation::Invalidate(key) => {
                self.entry(key).invalidate(cut, fresh);
                self.end_generation(key);
            }
            Operation::BeginWrite(key, token) => {
                self.entry(key).begin_write(cut, token, fresh);
                self.end_generation(key);
            }
            Operation::EndWrite(key, token, value) => {
                self.entry(key).end_write(cut, token, value, fresh);
                self.end_generation(key);
            }
            Operation::PutIfNewer(key, version) => {
                self.entry(key).put_if_newer(cut, version, fresh);
                self.end_generation(key);
            }
        }
    }

    pub(crate) fn put(&mut self, key: u8, value: Version) {
        if self.entry(key).put(value) {
            self.end_generation(key);
        }
    }

    /// Loads that began before this are not of the generation that begins now.
    pub(crate) fn end_generation(&mut self, key: u8) {
        for reader in &mut self.now.readers {
            if reader.key == key {
                reader.is_current = false;
            }
        }
    }

    /// Whether every promise about a key is due: nobody writes it, and nobody owes it anything.
    pub(crate) fn is_settled(&self, key: u8) -> bool {
        let at = usize::from(key);
        let kept = (0..PROCESSES).any(|process| self.now.processes[process].backlog[at]);
        let mut writers = self.now.writers.iter();
        let writes = writers.any(|writer| writer.owes(key) && !self.is_hidden(writer, key));
        !(kept || writes || self.now.owed_by_the_dead[at])
    }

    /// A strict write between its commit and its end has taken the old value away already.
    fn is_hidden(&self, writer: &Writer, key: u8) -> bool {
        writer.kind != Kind::Invalidates && self.has_intent(writer, key)
    }
}
