//! The log of the in-memory backend. It lives as long as the process: that a crash loses it is for the runtime to say.
//!
//! The log has one lock. An operation that also changes a key's entry takes the key's shard under it and never the other way round, so the two
//! change as one; operations that do not concern the log take the shard alone. In each operation the log's guard is the last variable, so
//! that arguments and values, whose `Drop` is a user's code, are dropped after the lock is given back.

mod letters;
mod members;
mod records;

use std::sync::PoisonError;
use std::time::Duration;

use self::letters::Letters;
use self::members::Members;
use self::records::{Record, Records};
use super::change::Leftover;
use super::{Memory, Slot, ready, typed};
use crate::backend::log::{
    Append, Appended, Attendance, Begun, Burial, Done, Letter, LogSize, LoggedWrite, Payload,
    Revival, WriteLog,
};
use crate::backend::{BackendFuture, Token};
use crate::error::BackendError;
use crate::key::Key;
use crate::sync::{Mutex, MutexGuard};

#[derive(Default)]
pub(super) struct Log(Mutex<Journal>);

/// What the lock guards.
#[derive(Default)]
struct Journal {
    last: u64,
    records: Records,
    letters: Letters,
    members: Members,
}

/// A write to be appended, with nothing of a user's left to be asked: its value is weighed.
struct Entry {
    key: Key,
    function: String,
    payload: Payload,
    slot: Option<Slot>,
}

impl Log {
    /// Nothing panics under it, but a poisoned lock is used on all the same: a log that refuses would lose more.
    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Removes writes that are over, and what was noted for their key. Says whether one of them was pending.
    fn settle(&mut self, done: &Done, leftover: &mut Leftover) -> bool {
        let before = leftover.payloads.len();
        for &sequence in &done.sequences {
            let payload = self.records.remove(&done.key, sequence);
            leftover.payloads.extend(payload);
        }
        self.records.forget_begun(&done.key);
        leftover.payloads.len() > before
    }
}

impl Memory {
    fn entry(&self, write: Append) -> Result<Entry, BackendError> {
        let slot = match write.value {
            None => None,
            Some((value, keep)) => {
                let typed = typed(value)?;
                let weight = self.weigher.weigh(&write.key, &*typed.value);
                let since = self.tags.as_new(typed.basis.as_deref());
                Some(Slot::new(typed, keep, self.clock.now(), weight, since))
            }
        };
        Ok(Entry {
            key: write.key,
            function: write.function,
            payload: write.payload,
            slot,
        })
    }

    fn append_to(&self, journal: &mut Journal, entry: Entry, leftover: &mut Leftover) -> u64 {
        let Entry {
            key,
            function,
            payload,
            slot,
        } = entry;
        let sequence = journal.next();
        self.on_leaving(&key, leftover, |at| at.appended(sequence, slot));
        let record = Record {
            key,
            function,
            payload,
            appended: self.clock.now(),
        };
        journal.records.push(sequence, record);
        sequence
    }
}

fn failed<'a, T: Send + 'a>(error: BackendError) -> BackendFuture<'a, T> {
    Box::pin(std::future::ready(Err(error)))
}

impl WriteLog for Memory {
    fn append(&self, write: Append) -> BackendFuture<'_, Appended> {
        let max_pending = write.max_pending;
        let entry = match self.entry(write) {
            Ok(entry) => entry,
            Err(error) => return failed(error),
        };
        let mut leftover = Leftover::default();
        let mut journal = self.log.lock();
        if journal.records.count(&entry.function) >= max_pending {
            return ready(Appended::Full {
                sequence: journal.next(),
                key_is_pending: journal.records.newest(&entry.key).is_some(),
            });
        }
        let sequence = self.append_to(&mut journal, entry, &mut leftover);
        ready(Appended::Logged(sequence))
    }

    fn attend(&self, member: Token, ttl: Duration) -> BackendFuture<'_, Attendance> {
        let mut journal = self.log.lock();
        ready(journal.members.attend(member, ttl, self.clock.now()))
    }

    fn resign<'a>(&'a self, member: Token, partitions: &'a [u8]) -> BackendFuture<'a, ()> {
        self.log.lock().members.resign(member, partitions);
        ready(())
    }

    fn leave(&self, member: Token) -> BackendFuture<'_, ()> {
        self.log.lock().members.leave(member);
        ready(())
    }

    fn read(&self, partition: u8, after: u64, most: usize) -> BackendFuture<'_, Vec<LoggedWrite>> {
        let journal = self.log.lock();
        let now = self.clock.now();
        ready(journal.records.read(partition, after, most, now))
    }

    fn begun(&self, partition: u8) -> BackendFuture<'_, Vec<Begun>> {
        ready(self.log.lock().records.begun(partition))
    }

    fn begin<'a>(
        &'a self,
        partition: u8,
        member: Token,
        groups: &'a [Begun],
    ) -> BackendFuture<'a, Option<Vec<bool>>> {
        let mut journal = self.log.lock();
        if !journal.members.owns(member, partition, self.clock.now()) {
            return ready(None);
        }
        let groups = groups.iter();
        ready(Some(
            groups.map(|group| journal.records.begin(group)).collect(),
        ))
    }

    fn finish<'a>(
        &'a self,
        partition: u8,
        member: Token,
        done: &'a [Done],
    ) -> BackendFuture<'a, bool> {
        let mut leftover = Leftover::default();
        let mut journal = self.log.lock();
        if !journal.members.owns(member, partition, self.clock.now()) {
            return ready(false);
        }
        for done in done {
            journal.settle(done, &mut leftover);
            if let Some(&last) = done.sequences.last() {
                journal.letters.supersede(&done.function, &done.key, last);
            }
            self.on_leaving(&done.key, &mut leftover, |at| {
                at.finished(&done.sequences, done.invalidates);
            });
        }
        ready(true)
    }

    fn bury(&self, partition: u8, member: Token, burial: Burial) -> BackendFuture<'_, bool> {
        let mut leftover = Leftover::default();
        let mut journal = self.log.lock();
        let now = self.clock.now();
        if !journal.members.owns(member, partition, now) {
            return ready(false);
        }
        let done = &burial.done;
        let were_pending = journal.settle(done, &mut leftover);
        self.on_leaving(&done.key, &mut leftover, |at| {
            at.buried(&done.sequences, done.invalidates);
        });
        // A worker that did not hear the answer buries again; by then the letter may have been discarded.
        if let (true, Some(&last)) = (were_pending, done.sequences.last()) {
            let before = journal.letters.bury(last, burial, now);
            leftover
                .payloads
                .extend(before.map(|before| before.payload));
        }
        ready(true)
    }

    fn letters(&self, after: u64, most: usize) -> BackendFuture<'_, Vec<Letter>> {
        let journal = self.log.lock();
        ready(journal.letters.read(after, most, self.clock.now()))
    }

    fn revive(
        &self,
        sequence: u64,
        write: Append,
        unless_newer: bool,
    ) -> BackendFuture<'_, Revival> {
        let entry = match self.entry(write) {
            Ok(entry) => entry,
            Err(error) => return failed(error),
        };
        let mut leftover = Leftover::default();
        let mut journal = self.log.lock();
        let Some(letter) = journal.letters.remove(sequence) else {
            return ready(Revival::Gone);
        };
        leftover.payloads.push(letter.payload);
        let (function, key) = (&letter.function, &letter.key);
        let is_later_pending = journal.records.is_later_pending(function, key, sequence);
        if unless_newer && (letter.superseded || is_later_pending) {
            return ready(Revival::Superseded);
        }
        let sequence = self.append_to(&mut journal, entry, &mut leftover);
        ready(Revival::Logged(sequence))
    }

    fn discard(&self, sequence: u64) -> BackendFuture<'_, bool> {
        let removed = self.log.lock().letters.remove(sequence);
        ready(removed.is_some())
    }

    fn size(&self) -> BackendFuture<'_, LogSize> {
        let journal = self.log.lock();
        ready(LogSize {
            pending: journal.records.counts(),
            lag: journal.records.lag(self.clock.now()),
            letters: journal.letters.len(),
        })
    }

    fn dangers(&self) -> BackendFuture<'_, Vec<String>> {
        ready(Vec::new())
    }
}
