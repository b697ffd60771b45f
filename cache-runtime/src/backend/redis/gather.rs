//! Reads: a lone one is a plain `GET`, many at once are sent together.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use redis::{Arg, Cmd, Pipeline, ServerError, Value};

use super::clock::ServerTime;
use super::link::Link;
use super::names::Name;
use super::seats::{Callers, Replies, Seat};
use super::{failure, unexpected};
use crate::backend::{BackendFuture, Stored};
use crate::error::{BackendError, BackendErrorKind};

/// So many reads at once go each by itself: that fills the connection well enough, and what is gathered costs a task.
const APART: usize = 8;

/// So many turns those who are about to ask get at most before they are sent without the rest.
const TURNS: usize = 4;

/// The most keys that are read in one command, and the least at which that is done: the server answers nobody else meanwhile.
const MOST: usize = 512;
const LEAST: usize = 4;

/// So many there is room for at first.
const USUAL: usize = 32;

/// What one command's answer should not exceed: nobody gets a value before the last one came.
const ANSWER: usize = 256 * 1024;

/// How often somebody looks whether those who asked are still there. A server that hangs must not keep a link alive whose backend
/// was dropped.
const LOOK: Duration = Duration::from_secs(1);

type Answer = Result<Option<Stored>, BackendError>;

/// The reads of a connection.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Reads that wait for their answer.
    asking: AtomicUsize,
    /// Those that will be sent together.
    next: Mutex<Option<Together>>,
    /// The length of a value, about.
    length: AtomicUsize,
    /// The user may not send `MGET`.
    refused: AtomicBool,
}

/// Reads that are sent in one command.
#[derive(Debug)]
struct Together {
    command: Cmd,
    callers: Callers,
    count: usize,
}

/// The value under the name.
pub(super) fn get<'a>(link: &'a Arc<Link>, name: Name<'a>) -> BackendFuture<'a, Option<Stored>> {
    let gather = &link.gather;
    let asking = Asking::begin(&gather.asking);
    // A box for either: what a gathered read keeps while it waits is a fraction of what a command of its own takes.
    if gather.asking.load(Ordering::Relaxed) <= APART || gather.refused.load(Ordering::Relaxed) {
        Box::pin(get_apart(link, name, asking))
    } else {
        Box::pin(GetTogether {
            link,
            name,
            seat: None,
            _asking: asking,
        })
    }
}

/// The values under the names, in their order.
pub(super) async fn get_many(
    link: &Arc<Link>,
    names: &[Name<'_>],
) -> Result<Vec<Option<Stored>>, BackendError> {
    let mut found = Vec::with_capacity(names.len());
    let mut rest = names;
    while !rest.is_empty() {
        let (part, later) = rest.split_at(link.gather.limit().min(rest.len()));
        rest = later;
        let mut command = mget(part.len(), part.iter().map(Name::len).sum());
        for &name in part {
            command.arg(name);
        }
        let (replies, now) = read_all(link, &command).await?;
        for reply in replies {
            found.push(self::found(link, reply, now)?);
        }
    }
    Ok(found)
}

async fn get_apart(link: &Arc<Link>, name: Name<'_>, _asking: Asking<'_>) -> Answer {
    let mut command = Cmd::with_capacity(2, 3 + name.len());
    command.arg("GET").arg(name);
    let (reply, now) = link.read(&command).await?;
    found(link, reply, now)
}

/// A read that joins others when it is first polled.
struct GetTogether<'a> {
    link: &'a Arc<Link>,
    name: Name<'a>,
    seat: Option<Seat>,
    _asking: Asking<'a>,
}

impl Future for GetTogether<'_> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let link = self.link;
        let Some(seat) = &self.seat else {
            self.seat = Some(join(link, self.name, cx.waker()));
            return Poll::Pending;
        };
        let (reply, now) = ready!(seat.poll(cx))?;
        Poll::Ready(found(link, reply, now))
    }
}

/// Joins those who are sent next, and sees to it that they are.
fn join(link: &Arc<Link>, name: Name<'_>, waker: &Waker) -> Seat {
    let (seat, turn) = link.gather.join(name, waker);
    match turn {
        Turn::First => {
            link.runtime().spawn(send_next(Unsent(Some(link.clone()))));
        }
        Turn::Last(together) => {
            link.runtime().spawn(send(link.clone(), together));
        }
        Turn::Between => {}
    }
    seat
}

/// What a caller that joins has to do.
enum Turn {
    /// To see to it that it is sent.
    First,
    Between,
    /// To send it: there is no room for more.
    Last(Together),
}

impl Gather {
    fn next(&self) -> MutexGuard<'_, Option<Together>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, name: Name<'_>, waker: &Waker) -> (Seat, Turn) {
        let limit = self.limit();
        let mut next = self.next();
        let together = next.get_or_insert_with(|| Together::expecting(USUAL, name.len()));
        together.command.arg(name);
        together.count += 1;
        let seat = together.callers.join(waker);
        let turn = match together.count {
            1 => Turn::First,
            count if count >= limit => next.take().map_or(Turn::Between, Turn::Last),
            _ => Turn::Between,
        };
        (seat, turn)
    }

    /// How many values fit into an answer.
    fn limit(&self) -> usize {
        let length = self.length.load(Ordering::Relaxed).max(1);
        (ANSWER / length).clamp(LEAST, MOST)
    }

    fn note_length(&self, values: &[Value]) {
        let length = |value: &Value| match value {
            Value::BulkString(bytes) => Some(bytes.len()),
            _ => None,
        };
        let (mut count, mut sum) = (0, 0_usize);
        for length in values.iter().filter_map(length) {
            count += 1;
            sum = sum.saturating_add(length);
        }
        if let Some(mean) = sum.checked_div(count) {
            let new = match self.length.load(Ordering::Relaxed) {
                0 => mean,
                old => old - old / 4 + mean / 4,
            };
            self.length.store(new, Ordering::Relaxed);
        }
    }
}

impl Together {
    fn expecting(count: usize, length: usize) -> Self {
        Self {
            command: mget(count, count * length),
            callers: Callers::expecting(count),
            count: 0,
        }
    }
}

/// Gathered reads that nobody has sent. Dropped, as by a runtime that ends, they fail.
struct Unsent(Option<Arc<Link>>);

impl Unsent {
    fn joined(&self) -> usize {
        let next = self.0.as_ref().map(|link| link.gather.next());
        next.and_then(|next| next.as_ref().map(|together| together.count))
            .unwrap_or(0)
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            // Outside of the lock: it wakes those who waited.
            let unsent = link.gather.next().take();
            drop(unsent);
        }
    }
}

/// Lets all who are about to ask do so, and sends what was gathered.
async fn send_next(mut unsent: Unsent) {
    // A new task runs before those that were woken together with the one that made it; after this it does not. A busy runtime comes
    // back to it before all of them have run: as long as more join, there are more to run.
    let mut joined = 0;
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
        let before = std::mem::replace(&mut joined, unsent.joined());
        if joined == before {
            break;
        }
    }
    if let Some(link) = unsent.0.take() {
        let together = link.gather.next().take();
        if let Some(together) = together {
            send(link, together).await;
        }
    }
}

async fn send(link: Arc<Link>, together: Together) {
    let Together {
        command, callers, ..
    } = together;
    if let Some(replies) = while_wanted(read_all(&link, &command), || callers.are_gone()).await {
        callers.answer(replies);
    }
}

/// Goes on as long as anybody is there for the answer.
pub(super) async fn while_wanted<F: Future>(
    work: F,
    are_gone: impl Fn() -> bool,
) -> Option<F::Output> {
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(output) = tokio::time::timeout(LOOK, work.as_mut()).await {
            return Some(output);
        }
        if are_gone() {
            return None;
        }
    }
}

/// Runs an `MGET`, or where the user may not, a `GET` for each of its keys.
async fn read_all(link: &Arc<Link>, command: &Cmd) -> Replies {
    let gather = &link.gather;
    if !gather.refused.load(Ordering::Relaxed) {
        let (reply, now) = link.read(command).await?;
        match reply {
            Value::Array(values) if values.len() + 1 == command.args_iter().len() => {
                gather.note_length(&values);
                return Ok((values, now));
            }
            Value::ServerError(error) if is_refused(&error) => {
                if !gather.refused.swap(true, Ordering::Relaxed) {
                    let reason = failure::answered(&error);
                    tracing::warn!(%reason, "Redis refuses MGET: values are read one by one");
                }
            }
            other => return link.accept(other).and_then(|_| Err(unexpected())),
        }
    }
    let mut gets = Pipeline::new();
    for argument in command.args_iter().skip(1) {
        if let Arg::Simple(name) = argument {
            gets.cmd("GET").arg(name);
        }
    }
    link.read_all(gets).await
}

fn is_refused(error: &ServerError) -> bool {
    error.code() == "NOPERM"
        || error
            .details()
            .is_some_and(|details| details.starts_with("unknown command"))
}

fn found(link: &Arc<Link>, reply: Value, now: ServerTime) -> Answer {
    match reply {
        Value::BulkString(bytes) => Ok(Some(Stored::Encoded(now.age(bytes)))),
        Value::Nil => Ok(None),
        // Another type under our key is no value of ours: a miss, and the next fill overwrites it.
        Value::ServerError(error) if error.code() == "WRONGTYPE" => Ok(None),
        other => link.accept(other).and_then(|_| Err(unexpected())),
    }
}

fn mget(keys: usize, bytes: usize) -> Cmd {
    let mut command = Cmd::with_capacity(keys + 1, bytes + 4);
    command.arg("MGET");
    command
}

#[cold]
pub(super) fn ended() -> BackendError {
    BackendError::new(
        BackendErrorKind::Unavailable,
        "the runtime of the connection to Redis has ended",
    )
}

/// One who waits for an answer, for as long as that is.
struct Asking<'a>(&'a AtomicUsize);

impl<'a> Asking<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
