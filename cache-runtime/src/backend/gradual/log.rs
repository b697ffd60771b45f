//! The log of write-behind stays the old backend's.
//!
//! A value that is pending there is known to the old backend alone, so a key of it must never be looked up at the new one. Such keys have to
//! be named before the first write: another process may be reading by then.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::sides::Sides;
use crate::backend::log::{
    Append, Appended, Attendance, Begun, Burial, Done, Letter, LogSize, LoggedWrite, Revival,
    WriteLog,
};
use crate::backend::{BackendFuture, Token};
use crate::error::{BackendError, BackendErrorKind};
use crate::key::Key;

/// The old backend's log, for keys that stay.
pub(super) struct Staying(pub(super) Arc<Sides>);

impl fmt::Debug for Staying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Staying")
    }
}

fn refused<'a, T: Send + 'a>(detail: impl Into<Cow<'static, str>>) -> BackendFuture<'a, T> {
    let refused = BackendError::new(BackendErrorKind::Rejected, detail);
    Box::pin(std::future::ready(Err(refused)))
}

impl Staying {
    fn through<'a, T: Send + 'a>(
        &'a self,
        operation: impl FnOnce(&'a dyn WriteLog) -> BackendFuture<'a, T>,
    ) -> BackendFuture<'a, T> {
        match self.0.old.write_log() {
            Some(log) => operation(log),
            None => refused("the old backend keeps no write-behind log"),
        }
    }

    /// A write of this key.
    fn of_key<'a, T: Send + 'a>(
        &'a self,
        key: &Key,
        operation: impl FnOnce(&'a dyn WriteLog) -> BackendFuture<'a, T>,
    ) -> BackendFuture<'a, T> {
        if self.0.stays.as_ref().is_some_and(|stays| stays(key)) {
            return self.through(operation);
        }
        refused(format!(
            "the key `{key}` may move to the new backend, which knows of no pending writes: name the keys of write-behind writers to `GradualBuilder::stays`"
        ))
    }
}

impl WriteLog for Staying {
    fn append(&self, write: Append) -> BackendFuture<'_, Appended> {
        let key = write.key.clone();
        self.of_key(&key, |log| log.append(write))
    }

    fn attend(&self, member: Token, ttl: Duration) -> BackendFuture<'_, Attendance> {
        self.through(|log| log.attend(member, ttl))
    }

    fn resign<'a>(&'a self, member: Token, partitions: &'a [u8]) -> BackendFuture<'a, ()> {
        self.through(|log| log.resign(member, partitions))
    }

    fn leave(&self, member: Token) -> BackendFuture<'_, ()> {
        self.through(|log| log.leave(member))
    }

    fn read(&self, partition: u8, after: u64, most: usize) -> BackendFuture<'_, Vec<LoggedWrite>> {
        self.through(|log| log.read(partition, after, most))
    }

    fn begun(&self, partition: u8) -> BackendFuture<'_, Vec<Begun>> {
        self.through(|log| log.begun(partition))
    }

    fn begin<'a>(
        &'a self,
        partition: u8,
        member: Token,
        groups: &'a [Begun],
    ) -> BackendFuture<'a, Option<Vec<bool>>> {
        self.through(|log| log.begin(partition, member, groups))
    }

    fn finish<'a>(
        &'a self,
        partition: u8,
        member: Token,
        done: &'a [Done],
    ) -> BackendFuture<'a, bool> {
        self.through(|log| log.finish(partition, member, done))
    }

    fn bury(&self, partition: u8, member: Token, burial: Burial) -> BackendFuture<'_, bool> {
        self.through(|log| log.bury(partition, member, burial))
    }

    fn letters(&self, after: u64, most: usize) -> BackendFuture<'_, Vec<Letter>> {
        self.through(|log| log.letters(after, most))
    }

    fn revive(
        &self,
        sequence: u64,
        write: Append,
        unless_newer: bool,
    ) -> BackendFuture<'_, Revival> {
        let key = write.key.clone();
        self.of_key(&key, |log| log.revive(sequence, write, unless_newer))
    }

    fn discard(&self, sequence: u64) -> BackendFuture<'_, bool> {
        self.through(|log| log.discard(sequence))
    }

    fn size(&self) -> BackendFuture<'_, LogSize> {
        self.through(WriteLog::size)
    }

    fn dangers(&self) -> BackendFuture<'_, Vec<String>> {
        self.through(WriteLog::dangers)
    }
}
