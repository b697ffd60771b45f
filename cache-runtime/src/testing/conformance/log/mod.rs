//! The log of write-behind writes: what a case works with.

mod begun;
mod disputed;
mod letters;
mod ownership;
mod pending;
mod removed;
mod size;
mod writes;

use std::ops::Deref;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::{Bench, Case, LONG};
use crate::backend::Format;
use crate::backend::Token;
use crate::backend::log::{
    Append, Appended, Attendance, Begun, Burial, Done, LoggedWrite, PARTITIONS, Payload, WriteLog,
    partition_of,
};
use crate::error::BackendError;
use crate::key::Key;

pub(super) fn cases() -> Vec<Case> {
    [
        writes::CASES,
        size::CASES,
        ownership::CASES,
        begun::CASES,
        pending::CASES,
        removed::CASES,
        disputed::CASES,
        letters::CASES,
    ]
    .concat()
}

macro_rules! log_suite {
    ($($name:ident),* $(,)?) => {
        pub(super) const CASES: &[super::Case] = &[$(super::Case {
            name: stringify!($name),
            run: |bench| Box::pin(super::run(bench, |log| Box::pin($name(log)))),
        }),*];
    };
}
use log_suite;

/// As many writes or letters as no case makes.
const ALL: usize = 1000;

/// A bench on a backend that keeps a log.
#[derive(Clone)]
struct LogBench {
    bench: Bench,
    members: Arc<Mutex<Vec<Token>>>,
}

impl Deref for LogBench {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a case and leaves the log without members and writes of it, also when it fails: the next case is not to fail of that.
async fn run(bench: Bench, case: fn(LogBench) -> Running) {
    let bench = LogBench {
        bench,
        members: Arc::default(),
    };
    let ended = tokio::spawn(case(bench.clone())).await;
    bench.clean().await;
    if let Err(ended) = ended {
        resume_unwind(ended.into_panic());
    }
}

impl LogBench {
    fn log(&self) -> &dyn WriteLog {
        self.backend.write_log().expect("a backend with a log")
    }

    /// This bench with another key.
    fn at(&self, key: &Key) -> Self {
        let mut other = self.clone();
        other.bench.key = key.clone();
        other
    }

    /// A key of this case in the partition, another one for each number.
    fn key_in(&self, partition: u8, number: usize) -> Key {
        (0..100_000)
            .map(|n| Key::from(format!("{}:{n}", self.key)))
            .filter(|key| partition_of(key) == partition)
            .nth(number)
            .expect("keys fall into every partition")
    }

    fn partition(&self) -> u8 {
        partition_of(&self.key)
    }

    /// The function of most writes of the case.
    fn function(&self) -> String {
        format!("{}::save", self.site())
    }

    /// What keys and functions of this case begin with, and of no other.
    fn site(&self) -> &str {
        let key = self.key.as_str();
        key.match_indices(':')
            .nth(2)
            .map_or(key, |(at, _)| &key[..at])
    }

    fn payload(&self, text: &str) -> Payload {
        match self.backend.format() {
            Format::Typed => Payload::Typed(Arc::new(text.to_owned())),
            Format::Encoded => Payload::Encoded(Bytes::copy_from_slice(text.as_bytes())),
        }
    }

    /// A write of the key that says nothing of its value.
    fn write(&self, arguments: &str) -> Append {
        Append {
            key: self.key.clone(),
            function: self.function(),
            payload: self.payload(arguments),
            value: None,
            max_pending: u64::from(u32::MAX),
        }
    }

    /// A write of the key that has this value.
    fn valued(&self, text: &str) -> Append {
        self.valued_for(text, LONG)
    }

    fn valued_for(&self, text: &str, ttl: Duration) -> Append {
        Append {
            value: Some((self.value(text), ttl)),
            ..self.write(text)
        }
    }

    async fn append(&self, write: Append) -> Appended {
        self.log().append(write).await.expect("append")
    }

    async fn logged(&self, write: Append) -> u64 {
        match self.append(write).await {
            Appended::Logged(sequence) => sequence,
            full @ Appended::Full { .. } => panic!("there is room, yet {full:?}"),
        }
    }

    /// The pending writes of the key's partition.
    async fn pending(&self) -> Vec<LoggedWrite> {
        self.pending_in(self.partition()).await.expect("read")
    }

    /// The pending writes of a partition.
    async fn pending_in(&self, partition: u8) -> Result<Vec<LoggedWrite>, BackendError> {
        let mut writes: Vec<LoggedWrite> = Vec::new();
        loop {
            let after = writes.last().map_or(0, |write| write.sequence);
            let page = self.log().read(partition, after, ALL).await?;
            if page.is_empty() {
                return Ok(writes);
            }
            writes.extend(page);
        }
    }

    /// The sequence numbers of the pending writes of the key's partition.
    async fn sequences(&self) -> Vec<u64> {
        sequences(&self.pending().await)
    }

    async fn read(&self, partition: u8, after: u64, most: usize) -> Vec<LoggedWrite> {
        let read = self.log().read(partition, after, most).await;
        read.expect("read")
    }

    async fn attend(&self, member: Token, ttl: Duration) -> Attendance {
        self.members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(member);
        self.log().attend(member, ttl).await.expect("attend")
    }

    /// A member that owns every partition.
    async fn owner(&self) -> Token {
        let member = Token::fresh();
        let owned = self.attend(member, LONG).await.partitions();
        assert_eq!(owned, every_partition(), "nobody else is a member");
        member
    }

    async fn begin_run(&self, member: Token, through: u64, attempts: u32) -> bool {
        let group = Begun {
            key: self.key.clone(),
            through,
            attempts,
        };
        self.log()
            .begin(self.partition(), member, &[group])
            .await
            .expect("begin")
            == Some(vec![true])
    }

    async fn begun(&self) -> Vec<Begun> {
        self.log().begun(self.partition()).await.expect("begun")
    }

    fn done(&self, sequences: &[u64], invalidates: bool) -> Done {
        Done {
            key: self.key.clone(),
            function: self.function(),
            sequences: sequences.to_vec(),
            invalidates,
        }
    }

    async fn finish(&self, member: Token, sequences: &[u64]) -> bool {
        self.finish_all(member, &[self.done(sequences, false)])
            .await
    }

    /// Finishes writes that leave nothing of what is cached.
    async fn finish_invalidating(&self, member: Token, sequences: &[u64]) -> bool {
        self.finish_all(member, &[self.done(sequences, true)]).await
    }

    async fn finish_all(&self, member: Token, done: &[Done]) -> bool {
        let finished = self.log().finish(self.partition(), member, done).await;
        finished.expect("finish")
    }

    fn burial(&self, sequences: &[u64]) -> Burial {
        Burial {
            done: self.done(sequences, false),
            payload: self.payload("buried"),
            error: "it did not work".to_owned(),
            attempts: 3,
        }
    }

    async fn bury(&self, member: Token, sequences: &[u64]) -> bool {
        self.bury_as(member, self.burial(sequences)).await
    }

    async fn bury_as(&self, member: Token, burial: Burial) -> bool {
        let buried = self.log().bury(self.partition(), member, burial).await;
        buried.expect("bury")
    }

    /// Best effort: what fails here has failed in the case.
    async fn clean(&self) {
        let members =
            std::mem::take(&mut *self.members.lock().unwrap_or_else(PoisonError::into_inner));
        for member in members {
            let _ = self.log().leave(member).await;
        }
        let cleaner = Token::fresh();
        let _ = self.log().attend(cleaner, LONG).await;
        for partition in 0..PARTITIONS {
            let writes = self.pending_in(partition).await;
            let writes = writes.unwrap_or_default().into_iter();
            let done: Vec<_> = writes
                .filter(|write| write.function.starts_with(self.site()))
                .map(|write| Done {
                    key: write.key,
                    function: write.function,
                    sequences: vec![write.sequence],
                    invalidates: true,
                })
                .collect();
            let _ = self.log().finish(partition, cleaner, &done).await;
        }
        let letters = self.log().letters(0, ALL).await.unwrap_or_default();
        for letter in letters {
            if letter.function.starts_with(self.site()) {
                let _ = self.log().discard(letter.sequence).await;
            }
        }
        let _ = self.log().leave(cleaner).await;
    }
}

fn every_partition() -> Vec<u8> {
    (0..PARTITIONS).collect()
}

fn sequences(writes: &[LoggedWrite]) -> Vec<u64> {
    writes.iter().map(|write| write.sequence).collect()
}

/// The text of a payload that a case made.
fn arguments(payload: &Payload) -> String {
    match payload {
        Payload::Typed(value) => value
            .downcast_ref::<String>()
            .expect("the payload's own type")
            .clone(),
        Payload::Encoded(bytes) => {
            String::from_utf8(bytes.to_vec()).expect("the payload's own bytes")
        }
    }
}
