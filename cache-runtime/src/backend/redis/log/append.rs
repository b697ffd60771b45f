//! Appends: those that come while others are on their way are sent together.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::Value;
use tokio::sync::oneshot;

use super::super::gather::{ended, while_wanted};
use super::super::link::Link;
use super::super::loads::take_apart;
use super::super::names::Names;
use super::super::scripts::{self, Call};
use super::super::{encoded, in_parts, millis, unexpected};
use crate::backend::log::{Append, Appended, Payload, partition_of};
use crate::error::{BackendError, BackendErrorKind};

/// How many writes one script appends: the server answers nobody else meanwhile.
const MOST: usize = 128;

/// How long their arguments and values are at most together, unless one alone is longer.
const LENGTH: usize = 1 << 20;

/// So many scripts are on their way at once: while the server runs one, the next is made.
const SENDERS: usize = 2;

/// So many turns those who are about to append get at most before the others are sent without them.
const TURNS: usize = 4;

type Answer = Result<Appended, BackendError>;

/// The appends of a connection.
pub(in crate::backend::redis) struct Appends {
    link: Arc<Link>,
    names: Arc<Names>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    senders: usize,
}

struct Waiting {
    write: Append,
    answer: oneshot::Sender<Answer>,
}

impl Appends {
    pub(in crate::backend::redis) fn new(link: Arc<Link>, names: Arc<Names>) -> Self {
        Self {
            link,
            names,
            queue: Mutex::default(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sent by a task: what becomes of the caller is nothing to those whose writes go with its.
    pub(super) async fn append(self: &Arc<Self>, write: Append) -> Answer {
        if let Some((value, _)) = &write.value {
            encoded(value)?;
        }
        arguments(&write.payload)?;
        let (answer, answered) = oneshot::channel();
        let needs_sender = {
            let mut queue = self.queue();
            queue.waiting.push_back(Waiting { write, answer });
            let needs_sender = queue.senders < SENDERS;
            queue.senders += usize::from(needs_sender);
            needs_sender
        };
        if needs_sender {
            self.link
                .runtime()
                .spawn(Sender(Some(self.clone())).send_all());
        }
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    fn take_batch(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        let (mut batch, mut length) = (Vec::new(), 0);
        while let Some(next) = queue.waiting.front() {
            length += length_of(&next.write);
            if batch.len() == MOST || length > LENGTH && !batch.is_empty() {
                break;
            }
            // Whoever has gone does not know whether it was written, and is served best by what was not.
            batch.extend(
                queue
                    .waiting
                    .pop_front()
                    .filter(|waiting| !waiting.answer.is_closed()),
            );
        }
        batch
    }

    async fn send(&self, batch: Vec<Waiting>) {
        let work = self.run(&batch);
        let are_gone = || batch.iter().all(|waiting| waiting.answer.is_closed());
        let Some(answers) = while_wanted(work, are_gone).await else {
            return;
        };
        match answers {
            Ok(answers) => {
                for (waiting, answer) in batch.into_iter().zip(answers) {
                    let answer = self.link.accept(answer).and_then(|said| appended(&said));
                    let _ = waiting.answer.send(answer);
                }
            }
            Err(error) => {
                for waiting in batch {
                    let _ = waiting.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// The script's answers, one for each write.
    async fn run(&self, batch: &[Waiting]) -> Result<Vec<Value>, BackendError> {
        let parts: Result<Vec<_>, _> = batch
            .iter()
            .map(|waiting| Parts::of(&waiting.write))
            .collect();
        let parts = parts?;
        let args: Vec<_> = parts.iter().flat_map(Parts::args).collect();
        let entries: Vec<_> = batch
            .iter()
            .map(|waiting| self.names.entry(&waiting.write.key))
            .collect();
        let call = Call {
            entries: &entries,
            shared: &[self.names.log().as_bytes()],
            own: &args,
        };
        let reply = self.link.run(&scripts::APPEND, call).await?;
        match take_apart(reply)? {
            (_, answers) if answers.len() == batch.len() => Ok(answers),
            _ => Err(unexpected()),
        }
    }
}

impl fmt::Debug for Appends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.queue();
        f.debug_struct("Appends")
            .field("waiting", &queue.waiting.len())
            .field("senders", &queue.senders)
            .finish_non_exhaustive()
    }
}

/// One who sends what waits. Dropped before all is sent, as by a runtime that ends, it lets all that wait fail.
struct Sender(Option<Arc<Appends>>);

impl Sender {
    async fn send_all(mut self) {
        while let Some(batch) = self.next().await {
            if let (Some(appends), false) = (&self.0, batch.is_empty()) {
                appends.send(batch).await;
            }
        }
    }

    /// What is to be sent next; `None`, and this one has left, if there is nothing.
    async fn next(&mut self) -> Option<Vec<Waiting>> {
        let appends = self.0.as_ref()?;
        // Those who were answered together with the ones that wait here append again at once, or others do: as long as more come they are
        // waited for, which takes no time where nobody does.
        let mut joined = 0;
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            let before = std::mem::replace(&mut joined, appends.queue().waiting.len());
            if joined == before || joined >= MOST {
                break;
            }
        }
        let batch = appends.take_batch();
        if batch.is_empty() {
            let mut queue = appends.queue();
            if queue.waiting.is_empty() {
                queue.senders -= 1;
                drop(queue);
                self.0 = None;
                return None;
            }
        }
        Some(batch)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Some(appends) = &self.0 {
            let mut queue = appends.queue();
            queue.senders -= 1;
            let unsent = std::mem::take(&mut queue.waiting);
            // Outside of the lock: it wakes those who waited.
            drop(queue);
            drop(unsent);
        }
    }
}

/// A write as the scripts take it.
pub(super) struct Parts<'a> {
    /// What it has in common with others.
    kind: String,
    /// What its entry says of it besides arguments and value: few fields cost the server less than many.
    head: String,
    arguments: &'a [u8],
    ttl: String,
    value: [&'a [u8]; 4],
}

impl<'a> Parts<'a> {
    pub(super) fn of(write: &'a Append) -> Result<Self, BackendError> {
        let (value, ttl) = match &write.value {
            Some((stored, ttl)) => (in_parts(encoded(stored)?), millis(*ttl)),
            None => ([&b""[..]; 4], String::new()),
        };
        let (partition, most) = (partition_of(&write.key), write.max_pending);
        let (function, key) = (&write.function, write.key.as_str());
        Ok(Self {
            kind: format!("{partition} {most} {function}"),
            head: format!("{ttl} {} {function}{key}", function.len()),
            arguments: arguments(&write.payload)?,
            ttl,
            value,
        })
    }

    /// Its kind, head and arguments, and TTL and the parts of the value.
    pub(super) fn args(&self) -> [&[u8]; 8] {
        let [first, middle, since, rest] = self.value;
        [
            self.kind.as_bytes(),
            self.head.as_bytes(),
            self.arguments,
            self.ttl.as_bytes(),
            first,
            middle,
            since,
            rest,
        ]
    }
}

pub(super) fn arguments(payload: &Payload) -> Result<&[u8], BackendError> {
    match payload {
        Payload::Encoded(bytes) => Ok(bytes),
        Payload::Typed(_) => Err(BackendError::new(
            BackendErrorKind::Rejected,
            "Redis keeps bytes, not typed arguments",
        )),
    }
}

fn length_of(write: &Append) -> usize {
    let arguments = arguments(&write.payload).map_or(0, <[u8]>::len);
    let value = write.value.as_ref().map(|(stored, _)| encoded(stored));
    arguments + value.and_then(Result::ok).map_or(0, <[u8]>::len)
}

fn appended(answer: &Value) -> Answer {
    let number = |value: &Value| match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let said = match answer {
        Value::Array(parts) => match &parts[..] {
            [sequence, pending] => number(sequence).map(|sequence| Appended::Full {
                sequence,
                key_is_pending: *pending == Value::Int(1),
            }),
            _ => None,
        },
        sequence => number(sequence).map(Appended::Logged),
    };
    said.ok_or_else(unexpected)
}
