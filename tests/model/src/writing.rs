//! What a writer does: `invalidation/` and `pattern/write_through/`, step by step and under their names.

use crate::Mutant;
use crate::backend::Version;
use crate::configuration::Kind;
use crate::protocol::Turn;
use crate::state::{Join, Operation, Stage, Writer};

impl Turn<'_> {
    /// `Announced::announce`, of the next key.
    pub(crate) fn begin_write(&mut self, id: usize, is_lost: bool) {
        let writer = self.now.writers[id];
        let Stage::Announcing(key) = writer.stage else {
            return;
        };
        self.advance_epoch(writer.process, key);
        let token = self.now.fresh();
        self.writer(id).tokens[usize::from(key)] = Some(token);
        let is_open = self.is_open(writer.process);
        if is_lost && !is_open {
            self.now.send(Operation::BeginWrite(key, token));
        }
        if !(is_open || is_lost) {
            let (cut, fresh) = (self.model.without, self.now.fresh());
            self.entry(key).begin_write(cut, token, fresh);
            self.end_generation(key);
        } else if writer.kind.is_strict() && self.model.without != Some(Mutant::StrictUnannounced) {
            return self.refuse(id);
        } else {
            self.writer(id).is_confirmed = false;
        }
        self.writer(id).stage = if key + 1 < writer.keys() {
            Stage::Announcing(key + 1)
        } else {
            Stage::Running
        };
    }

    /// `Announced` is dropped before its body has begun: what was announced is ended in the background.
    fn refuse(&mut self, id: usize) {
        let writer = self.now.writers[id];
        for (key, token) in (0..).zip(writer.tokens) {
            let Some(token) = token else { continue };
            if self.is_open(writer.process) {
                self.keep(writer.process, key);
            } else {
                self.now.send(Operation::EndWrite(key, token, None));
            }
        }
        self.writer(id).tokens = Default::default();
        self.writer(id).stage = Stage::Done;
    }

    /// The body commits.
    pub(crate) fn commit(&mut self, id: usize) {
        let mut writer = self.now.writers[id];
        for key in 0..writer.keys() {
            let row = &mut self.now.rows[usize::from(key)];
            *row += 1;
            writer.wrote[usize::from(key)] = *row;
        }
        writer.stage = match writer.stage {
            Stage::Orphaned => Stage::Dead,
            _ => Stage::Committed(0),
        };
        *self.writer(id) = writer;
    }

    /// `Intent::end`, `Call::store` of a versioned write, or the invalidation that a fenced writer owes: of the next key.
    pub(crate) fn end_write(&mut self, id: usize, is_lost: bool) {
        let writer = self.now.writers[id];
        let Stage::Committed(key) = writer.stage else {
            return;
        };
        if writer.kind == Kind::Invalidates {
            return self.invalidate(id, key, is_lost);
        }
        self.advance_epoch(writer.process, key);
        let (at, cut) = (usize::from(key), self.model.without);
        let wrote = writer.wrote[at];
        let operation = match writer.tokens[at] {
            None => Operation::PutIfNewer(key, wrote),
            Some(token) => {
                let confirmed = writer.is_confirmed || cut == Some(Mutant::UnconfirmedStores);
                let value = (writer.kind.is_through() && confirmed).then_some(wrote);
                Operation::EndWrite(key, token, value)
            }
        };
        if self.is_open(writer.process) {
            // The invalidation that follows a failed end fails as well.
            self.keep(writer.process, key);
            return self.ended(id, key);
        }
        if is_lost {
            self.now.send(operation);
            return self.writer(id).stage = Stage::EndLost(key);
        }
        self.carry_out(operation);
        self.raise_floor(writer.process, key, wrote);
        self.ended(id, key);
    }

    /// The invalidation after an end that was lost.
    pub(crate) fn invalidate_after(&mut self, id: usize, is_lost: bool) {
        if let Stage::EndLost(key) = self.now.writers[id].stage {
            self.invalidate(id, key, is_lost);
        }
    }

    /// `Inner::invalidate`.
    fn invalidate(&mut self, id: usize, key: u8, is_lost: bool) {
        let process = self.now.writers[id].process;
        self.advance_epoch(process, key);
        let is_open = self.is_open(process);
        if is_lost && !is_open {
            self.now.send(Operation::Invalidate(key));
        }
        if is_open || is_lost {
            self.keep(process, key);
        } else {
            self.carry_out(Operation::Invalidate(key));
            self.raise_floor(process, key, self.now.rows[usize::from(key)]);
        }
        self.ended(id, key);
    }

    /// The writer has done what it owed for this key. After the last it returns.
    fn ended(&mut self, id: usize, key: u8) {
        let writer = self.now.writers[id];
        self.writer(id).tokens[usize::from(key)] = None;
        if key + 1 < writer.keys() {
            return self.writer(id).stage = Stage::Committed(key + 1);
        }
        self.writer(id).stage = Stage::Done;
        if writer.kind.is_strict() {
            for key in 0..writer.keys() {
                let wrote = writer.wrote[usize::from(key)];
                let seen = &mut self.now.seen[usize::from(key)];
                *seen = wrote.max(*seen);
                // Delivered or not: nothing was in the cache since the write was announced.
                self.raise_floor(writer.process, key, wrote);
            }
        }
    }

    /// A write that was announced is dropped, or panics: its intents stay, and the commit may still come.
    pub(crate) fn drop_writer(&mut self, id: usize) {
        let writer = self.now.writers[id];
        for (key, token) in (0..).zip(writer.tokens) {
            if token.is_none() {
                continue;
            }
            self.advance_epoch(writer.process, key);
            if self.is_open(writer.process) {
                self.keep(writer.process, key);
            } else {
                self.now.send(Operation::Invalidate(key));
            }
        }
        self.kill(id, writer);
    }

    /// `Epochs::advance`.
    fn advance_epoch(&mut self, process: u8, key: u8) {
        if self.model.without == Some(Mutant::EpochNotAdvanced) {
            return;
        }
        for reader in &mut self.now.readers {
            if reader.process == process
                && reader.key == key
                && let Some(Join::Away { is_current }) = &mut reader.leads
            {
                *is_current = false;
            }
        }
    }

    /// `Guarded::keep`: the key is kept until it can be delivered, and the breaker is open until then.
    fn keep(&mut self, process: u8, key: u8) {
        let row = self.now.rows[usize::from(key)];
        let cut = self.model.without;
        let (process, at) = (
            &mut self.now.processes[usize::from(process)],
            usize::from(key),
        );
        process.backlog[at] = cut != Some(Mutant::NothingKept);
        process.is_open |= !matches!(cut, Some(Mutant::BreakerStaysClosed | Mutant::NothingKept));
        process.own_floor[at] = row;
        process.floor[at] = row;
    }

    /// An invalidation, or what counts as one, has returned: from now on nobody may get what is older.
    pub(crate) fn raise_floor(&mut self, own: u8, key: u8, to: Version) {
        let at = usize::from(key);
        for (id, process) in (0..).zip(&mut self.now.processes) {
            process.floor[at] = process.floor[at].max(to);
            if id == own {
                process.own_floor[at] = process.own_floor[at].max(to);
            }
        }
    }

    fn writer(&mut self, id: usize) -> &mut Writer {
        &mut self.now.writers[id]
    }
}
