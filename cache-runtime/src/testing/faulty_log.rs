//! The log of a backend that fails when it is told to.

use std::time::Duration;

use super::Faulty;
use crate::backend::log::{
    Append, Appended, Attendance, Begun, Burial, Done, Letter, LogSize, LoggedWrite, Revival,
    WriteLog,
};
use crate::backend::{Backend, BackendFuture, Token};
use crate::error::{BackendError, BackendErrorKind};

impl<B: Backend> Faulty<B> {
    /// Itself, where the backend behind it keeps a log.
    pub(super) fn log(&self) -> Option<&dyn WriteLog> {
        self.inner().write_log().map(|_| self as &dyn WriteLog)
    }

    fn meet_log<'a, T: Send + 'a>(
        &'a self,
        operation: impl FnOnce(&'a dyn WriteLog) -> BackendFuture<'a, T> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        self.meet(move |inner| match inner.write_log() {
            Some(log) => operation(log),
            None => Box::pin(std::future::ready(Err(BackendError::new(
                BackendErrorKind::Rejected,
                "the backend keeps no log",
            )))),
        })
    }
}

impl<B: Backend> WriteLog for Faulty<B> {
    fn append(&self, write: Append) -> BackendFuture<'_, Appended> {
        self.meet_log(move |log| log.append(write))
    }

    fn attend(&self, member: Token, ttl: Duration) -> BackendFuture<'_, Attendance> {
        self.meet_log(move |log| log.attend(member, ttl))
    }

    fn resign<'a>(&'a self, member: Token, partitions: &'a [u8]) -> BackendFuture<'a, ()> {
        self.meet_log(move |log| log.resign(member, partitions))
    }

    fn leave(&self, member: Token) -> BackendFuture<'_, ()> {
        self.meet_log(move |log| log.leave(member))
    }

    fn read(&self, partition: u8, after: u64, most: usize) -> BackendFuture<'_, Vec<LoggedWrite>> {
        self.meet_log(move |log| log.read(partition, after, most))
    }

    fn begun(&self, partition: u8) -> BackendFuture<'_, Vec<Begun>> {
        self.meet_log(move |log| log.begun(partition))
    }

    fn begin<'a>(
        &'a self,
        partition: u8,
        member: Token,
        groups: &'a [Begun],
    ) -> BackendFuture<'a, Option<Vec<bool>>> {
        self.meet_log(move |log| log.begin(partition, member, groups))
    }

    fn finish<'a>(
        &'a self,
        partition: u8,
        member: Token,
        done: &'a [Done],
    ) -> BackendFuture<'a, bool> {
        self.meet_log(move |log| log.finish(partition, member, done))
    }

    fn bury(&self, partition: u8, member: Token, burial: Burial) -> BackendFuture<'_, bool> {
        self.meet_log(move |log| log.bury(partition, member, burial))
    }

    fn letters(&self, after: u64, most: usize) -> BackendFuture<'_, Vec<Letter>> {
        self.meet_log(move |log| log.letters(after, most))
    }

    fn revive(
        &self,
        sequence: u64,
        write: Append,
        unless_newer: bool,
    ) -> BackendFuture<'_, Revival> {
        self.meet_log(move |log| log.revive(sequence, write, unless_newer))
    }

    fn discard(&self, sequence: u64) -> BackendFuture<'_, bool> {
        self.meet_log(move |log| log.discard(sequence))
    }

    fn size(&self) -> BackendFuture<'_, LogSize> {
        self.meet_log(|log| log.size())
    }

    fn dangers(&self) -> BackendFuture<'_, Vec<String>> {
        self.meet_log(|log| log.dangers())
    }
}
