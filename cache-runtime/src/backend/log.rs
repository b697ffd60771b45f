//! The log of write-behind writes: the contract between its worker and the store.
//!
//! A write is *pending* from the moment that it is appended until it is finished (its body has run) or buried (it is a dead letter). The log
//! is cut into [`PARTITIONS`] by key, and each partition belongs to one member at a time.

use std::time::Duration;

use bytes::Bytes;

use super::{BackendFuture, SharedValue, Stored, Token};
use crate::key::Key;

/// Into how many parts the log is cut. All writes of a key are in one: [`partition_of`].
pub const PARTITIONS: u8 = 16;

/// The partition of a key: FNV-1a of its bytes, the same in every process and version.
#[must_use]
pub fn partition_of(key: &Key) -> u8 {
    let hash = key
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    // The low bits of FNV are its best mixed ones only together.
    ((hash ^ (hash >> 32)) % u64::from(PARTITIONS)) as u8
}

/// The arguments of a write.
#[derive(Debug, Clone)]
pub enum Payload {
    /// As a value of this process.
    Typed(SharedValue),
    /// As bytes that another process can read.
    Encoded(Bytes),
}

/// A write to be appended.
#[derive(Debug, Clone)]
pub struct Append {
    /// The key that it is about.
    pub key: Key,
    /// The writer's path: `shop::users::save_user`.
    pub function: String,
    /// Its arguments.
    pub payload: Payload,
    /// What readers of the key see from now on, until a later write of the key or its end, and the TTL that it has in the cache each time that it is
    /// put there. `None`: the cached value stays as it is until the write is finished.
    pub value: Option<(Stored, Duration)>,
    /// So many writes of the function may be pending.
    pub max_pending: u64,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log, under this sequence number.
    Logged(u64),
    /// The function has as many writes pending as it may: nothing was done.
    Full {
        /// A sequence number as the write would have had it; no other write has it or will.
        sequence: u64,
        /// Whether earlier writes of this key are pending.
        key_is_pending: bool,
    },
}

/// A write in the log.
#[derive(Debug, Clone)]
pub struct LoggedWrite {
    /// Its sequence number: in the whole log a later write has a greater one, also after the log was empty. Below 2^63.
    pub sequence: u64,
    /// As it was appended.
    pub key: Key,
    /// As it was appended.
    pub function: String,
    /// As it was appended.
    pub payload: Payload,
    /// How long ago it was appended, by the store's clock.
    pub age: Duration,
}

/// Writes of one key that run as one: all of them up to a sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The key.
    pub key: Key,
    /// The last of them.
    pub through: u64,
    /// How often they were begun, this time included.
    pub attempts: u32,
}

/// Writes of one key that are over.
#[derive(Debug, Clone)]
pub struct Done {
    /// The key.
    pub key: Key,
    /// The function whose writes they are.
    pub function: String,
    /// Their sequence numbers, ascending and at least one.
    pub sequences: Vec<u64>,
    /// Whether what is cached is to be removed, with any lease: the writes told no value, so it is from before them.
    pub invalidates: bool,
}

/// A write that is given up, with what is to be known of it.
#[derive(Debug, Clone)]
pub struct Burial {
    /// The writes that it is made of.
    pub done: Done,
    /// Their arguments, as they would have been written.
    pub payload: Payload,
    /// The text of the last error.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// A dead letter as the log keeps it.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The last of its sequence numbers, which no other letter has.
    pub sequence: u64,
    /// The key.
    pub key: Key,
    /// The writer's path.
    pub function: String,
    /// The arguments.
    pub payload: Payload,
    /// The text of the last error.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// How long ago it was buried, by the store's clock.
    pub age: Duration,
}

/// What became of a dead letter that was to be appended again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revival {
    /// It is in the log again, as the newest write, under this sequence number; the letter is gone.
    Logged(u64),
    /// A later write of its key and function is pending or has been written: the letter is gone, and nothing else was done.
    Superseded,
    /// There is no such letter.
    Gone,
}

/// A partition of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    /// Which.
    pub partition: u8,
    /// The same for as long as nobody else has owned the partition, whatever it was in between, and greater then: what the member has read of it
    /// in an earlier term may have been run by others.
    pub term: u64,
}

/// What a member was told when it reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendance {
    /// The partitions that are the member's, for the time that it asked for.
    pub owned: Vec<Owned>,
    /// How many it may have, so that all members have their part. Whoever owns more is to [`resign`](WriteLog::resign) some.
    pub share: u8,
}

impl Attendance {
    /// The partitions without their terms.
    #[must_use]
    pub fn partitions(&self) -> Vec<u8> {
        self.owned.iter().map(|owned| owned.partition).collect()
    }
}

/// How full the log is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSize {
    /// Pending writes of each function that has any.
    pub pending: Vec<(String, u64)>,
    /// The age of the oldest pending write.
    pub lag: Option<Duration>,
    /// Dead letters.
    pub letters: u64,
}

/// A log of writes, shared by all who share the store.
///
/// # Contract
///
/// * Each operation is atomic, together with what it does to the key's entry.
/// * What [`append`](Self::append) answered with [`Appended::Logged`] stays until it is finished or buried; nothing else removes it: no
///   [`clear`](super::Backend::clear), no invalidation, no eviction of the value.
/// * While a write with a value is pending, `lease` answers [`Hit`](super::Lease::Hit) with the value of the last such write, whatever the mode, at the age of zero, and puts
///   it back into its place as it was put there by the append (unless a write intent lives: then only the answer is given). `fill`, `put`,
///   `put_if_newer` and `end_write` store nothing then, and answer as for a refusal; a refused `put_if_newer` raises the fence all the same. `invalidate` removes the value, and not what is pending.
/// * All of these but `fill`, and `begin_write` and [`clear`](super::Backend::clear) too, tell of a change of the row beside the pending write, and
///   nobody knows which of the two came first: the pending value is *disputed* from then on, until a later write with a value takes its place. One
///   that is appended while a write intent lives is disputed from its beginning.
/// * Only a partition's owner begins, finishes and buries writes in it: anybody else is told `false` or `None`, and nothing is done.
pub trait WriteLog: Send + Sync {
    /// Appends a write, ends any lease on its key, marks writes in progress as overlapping, and where it has a value puts that into the cache,
    /// unless a write intent lives: then what is cached goes. A write without a value leaves value and lease alone.
    fn append(&self, write: Append) -> BackendFuture<'_, Appended>;

    /// Reports a member as alive for `ttl`, extends what it owns to `ttl` from now, and gives it what is free, up to its share: the partitions
    /// divided by the members alive, rounded up.
    fn attend(&self, member: Token, ttl: Duration) -> BackendFuture<'_, Attendance>;

    /// Gives partitions up.
    fn resign<'a>(&'a self, member: Token, partitions: &'a [u8]) -> BackendFuture<'a, ()>;

    /// Gives up all that the member owns, and its membership.
    fn leave(&self, member: Token) -> BackendFuture<'_, ()>;

    /// The pending writes of a partition with greater sequence numbers than `after`, in order: at most so many, and at least one if there is any.
    /// Fewer than asked for are not the end, as a store may hand large writes out a few at a time; none are.
    fn read(&self, partition: u8, after: u64, most: usize) -> BackendFuture<'_, Vec<LoggedWrite>>;

    /// The writes of a partition that were begun and are still pending, by key.
    fn begun(&self, partition: u8) -> BackendFuture<'_, Vec<Begun>>;

    /// Notes that these are about to run, in place of what was noted for their keys, and answers for each group, in order, whether it was noted.
    /// One whose last write is not pending any more is over, by another owner's hand: it is not noted, and not to be run. `None` if the member
    /// does not own the partition.
    fn begin<'a>(
        &'a self,
        partition: u8,
        member: Token,
        groups: &'a [Begun],
    ) -> BackendFuture<'a, Option<Vec<bool>>>;

    /// Removes writes whose body has run, and what was noted for their keys. Where the pending value is of one of them it is not pending any
    /// more, and stays in the cache, unless it is disputed: then it goes, with any lease. Marks other writes in progress as overlapping: what they hold may be from before these. `false` if the member does not own the partition.
    fn finish<'a>(
        &'a self,
        partition: u8,
        member: Token,
        done: &'a [Done],
    ) -> BackendFuture<'a, bool>;

    /// Makes a dead letter of writes, if any of them is still pending, and removes what was noted for their key. Where the pending value is of one
    /// of them it goes, from the cache too, with any lease. Marks other writes in progress as overlapping. `false` if the member does not own the
    /// partition.
    fn bury(&self, partition: u8, member: Token, burial: Burial) -> BackendFuture<'_, bool>;

    /// Dead letters with greater sequence numbers than `after`, in order, at most so many.
    fn letters(&self, after: u64, most: usize) -> BackendFuture<'_, Vec<Letter>>;

    /// Appends a dead letter again, whatever the bound. With `unless_newer` only if no later write of its key by the same function is
    /// pending or was finished since it was buried: another function's may be of another part of the row.
    fn revive(
        &self,
        sequence: u64,
        write: Append,
        unless_newer: bool,
    ) -> BackendFuture<'_, Revival>;

    /// Removes a dead letter. `false` if there is none.
    fn discard(&self, sequence: u64) -> BackendFuture<'_, bool>;

    /// How full it is.
    fn size(&self) -> BackendFuture<'_, LogSize>;

    /// In what circumstances the store would lose it, each as a sentence for the log.
    fn dangers(&self) -> BackendFuture<'_, Vec<String>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another version of the program that thought otherwise would look for a key's writes in another place.
    #[test]
    fn the_partition_of_a_key_never_changes() {
        let partitions = [("", 1), ("user:1", 1), ("user:2", 4), ("cart:\u{e9}", 11)];
        for (key, partition) in partitions {
            assert_eq!(partition_of(&Key::from(key)), partition, "{key}");
        }
    }

    #[test]
    fn keys_fall_into_every_partition_alike() {
        let mut counts = [0; PARTITIONS as usize];
        for n in 0..16_000 {
            counts[usize::from(partition_of(&Key::from(format!("user:{n}"))))] += 1;
        }
        for count in counts {
            assert!((800..1200).contains(&count), "{counts:?}");
        }
    }
}
