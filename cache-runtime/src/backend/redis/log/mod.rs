//! The write log on Redis: a stream for each partition, and Lua.
//!
//! `lua/log/log.lua` tells which keys there are.

mod append;
mod letters;
mod members;
mod progress;
mod read;
pub(crate) mod reply;
mod survey;

use std::time::Duration;

use redis::Value;

pub(super) use self::append::Appends;
use super::names::Name;
use super::scripts::{Call, Script};
use super::{Redis, unexpected};
use crate::backend::log::{
    Append, Appended, Attendance, Begun, Burial, Done, Letter, LogSize, LoggedWrite, Revival,
    WriteLog,
};
use crate::backend::{BackendFuture, Token};
use crate::error::BackendError;

/// While a write is pending its value is kept twice, where readers find it and in the log. The log relies on the server for its life:
/// [`dangers`](Self::dangers) tells what a server's configuration puts at risk. The age of a write is as right as the server's clock.
///
/// Keys of the log that hold something else than what the log put there are emptied and used, but for the streams: a write to one that is no
/// stream is refused.
impl WriteLog for Redis {
    fn append(&self, write: Append) -> BackendFuture<'_, Appended> {
        Box::pin(self.appends.append(write))
    }

    fn attend(&self, member: Token, ttl: Duration) -> BackendFuture<'_, Attendance> {
        Box::pin(members::attend(self, member, ttl))
    }

    fn resign<'a>(&'a self, member: Token, partitions: &'a [u8]) -> BackendFuture<'a, ()> {
        Box::pin(members::resign(self, member, partitions))
    }

    fn leave(&self, member: Token) -> BackendFuture<'_, ()> {
        Box::pin(members::leave(self, member))
    }

    fn read(&self, partition: u8, after: u64, most: usize) -> BackendFuture<'_, Vec<LoggedWrite>> {
        Box::pin(read::read(self, partition, after, most))
    }

    fn begun(&self, partition: u8) -> BackendFuture<'_, Vec<Begun>> {
        Box::pin(progress::begun(self, partition))
    }

    fn begin<'a>(
        &'a self,
        partition: u8,
        member: Token,
        groups: &'a [Begun],
    ) -> BackendFuture<'a, Option<Vec<bool>>> {
        Box::pin(progress::begin(self, partition, member, groups))
    }

    /// In parts, where a key has thousands of writes. What was begun is removed with the last of them.
    fn finish<'a>(
        &'a self,
        partition: u8,
        member: Token,
        done: &'a [Done],
    ) -> BackendFuture<'a, bool> {
        Box::pin(progress::finish(self, partition, member, done))
    }

    fn bury(&self, partition: u8, member: Token, burial: Burial) -> BackendFuture<'_, bool> {
        Box::pin(progress::bury(self, partition, member, burial))
    }

    fn letters(&self, after: u64, most: usize) -> BackendFuture<'_, Vec<Letter>> {
        Box::pin(letters::letters(self, after, most))
    }

    fn revive(
        &self,
        sequence: u64,
        write: Append,
        unless_newer: bool,
    ) -> BackendFuture<'_, Revival> {
        Box::pin(letters::revive(self, sequence, write, unless_newer))
    }

    fn discard(&self, sequence: u64) -> BackendFuture<'_, bool> {
        Box::pin(letters::discard(self, sequence))
    }

    fn size(&self) -> BackendFuture<'_, LogSize> {
        Box::pin(survey::size(self))
    }

    fn dangers(&self) -> BackendFuture<'_, Vec<String>> {
        Box::pin(survey::dangers(self))
    }
}

impl Redis {
    /// Runs a script of the log on these entries.
    async fn run_on_log(
        &self,
        script: &Script,
        entries: &[[Name<'_>; 2]],
        args: &[&[u8]],
    ) -> Result<Value, BackendError> {
        let call = Call {
            entries,
            shared: &[self.names.log().as_bytes()],
            own: args,
        };
        self.link.run(script, call).await
    }

    /// Runs a script of the log that answers 1 or 0.
    async fn ask_log(
        &self,
        script: &Script,
        entries: &[[Name<'_>; 2]],
        args: &[&[u8]],
    ) -> Result<bool, BackendError> {
        match self.run_on_log(script, entries, args).await? {
            Value::Int(answer) => Ok(answer == 1),
            _ => Err(unexpected()),
        }
    }
}
