//! Reads: one is a `MGET` of the value and of what it depends on, many at once are sent together in one.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use redis::{Arg, Cmd, Pipeline, ServerError, Value};

use super::clock::ServerTime;
use super::judged::{Judged, Question, Read, judged, look_again, verdict};
use super::latest::Latest;
use super::link::Link;
use super::names::{FLOOR, Names};
use super::seats::{Answers, Callers, Part, Place, Places, Replies, Seat};
use super::tags::{self, Verdict};
use super::{failure, unexpected};
use crate::backend::{BackendFuture, Encoded, Stored, Tags};
use crate::entry::header::{self, HEADER};
use crate::error::{BackendError, BackendErrorKind};
use crate::key::Key;

/// So many reads at once go each by itself: that fills the connection well enough, and what is gathered costs a task.
const APART: usize = 8;

/// So many turns those who are about to ask get at most before they are sent without the rest.
const TURNS: usize = 4;

/// The most keys that are read in one command, and the least at which that is done: the server answers nobody else meanwhile.
pub(super) const MOST: usize = 512;
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
    /// What is known of the tags already.
    pub(super) latest: Latest,
}

/// Reads that are sent in one command.
#[derive(Debug)]
struct Together {
    command: Cmd,
    /// The name of the namespace's version, which is asked for last.
    floor: Box<[u8]>,
    callers: Callers,
    /// How many have joined, and how many values they ask for.
    joined: usize,
    values: usize,
    /// The tags of all of them, each once: callers who come together often name the same.
    tags: Vec<Key>,
    places: HashMap<Key, u32>,
}

/// The value under the key, if it is good, by the tags that are known and by its own.
pub(super) fn get<'a>(
    link: &'a Arc<Link>,
    names: &'a Names,
    key: &'a Key,
    tags: &'a [Key],
) -> BackendFuture<'a, Option<Stored>> {
    let question = Question { names, key, tags };
    let gather = &link.gather;
    let asking = Asking::begin(&gather.asking);
    // A box for either: what a gathered read keeps while it waits is a fraction of what a command of its own takes.
    if gather.asking.load(Ordering::Relaxed) <= APART || gather.refused.load(Ordering::Relaxed) {
        Box::pin(get_apart(link, question, asking))
    } else {
        Box::pin(GetTogether {
            link,
            question,
            stage: Stage::New,
            _asking: asking,
        })
    }
}

/// The values under the keys, in their order.
pub(super) async fn get_many(
    link: &Arc<Link>,
    names: &Names,
    keys: &[Key],
    tags: &[Key],
) -> Result<Vec<Option<Stored>>, BackendError> {
    let mut found = Vec::with_capacity(keys.len());
    let mut unclear = Vec::with_capacity(0);
    let mut rest = keys;
    while !rest.is_empty() {
        let (part, later) = rest.split_at(link.gather.limit().min(rest.len()));
        rest = later;
        let values = part.iter().map(|key| names.value(key));
        let bytes: usize = values.clone().map(|name| name.len()).sum();
        let mut command = mget(part.len() + tags.len() + 1, bytes);
        for name in values {
            command.arg(name);
        }
        for tag in tags {
            command.arg(names.tag(tag.as_bytes()));
        }
        command.arg(names.floor());
        let (mut replies, now) = read_all(link, &command).await?;
        let mut versions = replies.split_off(part.len());
        let floor = versions.pop().unwrap_or(Value::Nil);
        let versions = Read::of(link, &versions, &floor)?;
        for reply in replies {
            match judged(link, reply, tags, &versions, now)? {
                Judged::Found(value) => found.push(value),
                Judged::Unclear(entry) => {
                    unclear.push((found.len(), Some(entry)));
                    found.push(None);
                }
            }
        }
    }
    if !unclear.is_empty() {
        let (places, mut entries): (Vec<_>, Vec<_>) = unclear.into_iter().unzip();
        look_again(link, names, &mut entries).await?;
        for (place, entry) in places.into_iter().zip(entries) {
            found[place] = entry.map(Stored::Encoded);
        }
    }
    Ok(found)
}

async fn get_apart(link: &Arc<Link>, question: Question<'_>, _asking: Asking<'_>) -> Answer {
    let floor = question.names.floor();
    let mut command = mget(question.count() + 1, question.len() + floor.len());
    question.ask(&mut command);
    command.arg(floor);
    // Where there is no `MGET` it is read one by one; that is rare, and every read would be as large.
    let (mut replies, now) = match link.gather.refused.load(Ordering::Relaxed) {
        true => Box::pin(read_all(link, &command)).await?,
        false => match link.read(&command).await? {
            (Value::Array(values), now) if values.len() == question.count() + 1 => (values, now),
            _ => Box::pin(read_all(link, &command)).await?,
        },
    };
    let floor = replies.pop().unwrap_or(Value::Nil);
    let versions = Read::of(link, replies.get(1..).unwrap_or_default(), &floor)?;
    let value = replies.into_iter().next().unwrap_or(Value::Nil);
    match judged(link, value, question.tags, &versions, now)? {
        Judged::Found(found) => Ok(found),
        Judged::Unclear(entry) => Box::pin(second(link, question.names, entry)).await,
    }
}

/// The entry, judged by all of its tags.
async fn second(link: &Arc<Link>, names: &Names, entry: Encoded) -> Answer {
    let mut entries = [Some(entry)];
    look_again(link, names, &mut entries).await?;
    let [entry] = entries;
    Ok(entry.map(Stored::Encoded))
}

/// A read that joins others when it is first polled.
struct GetTogether<'a> {
    link: &'a Arc<Link>,
    question: Question<'a>,
    stage: Stage,
    _asking: Asking<'a>,
}

enum Stage {
    New,
    Seated(Seat),
    /// The value has tags that were not known: they are asked for. In a box: most reads do not get here.
    Again(Box<Again>),
}

struct Again {
    seat: Seat,
    entry: Option<Encoded>,
    tags: Tags,
}

impl Future for GetTogether<'_> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let (link, question) = (self.link, self.question);
        match &mut self.stage {
            Stage::New => {
                let places = link.gather.places(question.tags);
                let seat = join(link, question, Wanted::Value, places, cx.waker());
                self.stage = Stage::Seated(seat);
                Poll::Pending
            }
            Stage::Seated(seat) => {
                let Part {
                    value,
                    versions,
                    now,
                } = ready!(seat.poll(cx))?;
                let entry = match judged(link, value, question.tags, &versions, now)? {
                    Judged::Found(found) => return Poll::Ready(Ok(found)),
                    Judged::Unclear(entry) => entry,
                };
                let tags = header::basis(&entry.bytes).map_or_else(Tags::new, |basis| basis.tags);
                let question = Question {
                    tags: tags.as_slice(),
                    ..question
                };
                // What was relied on was not so: all are asked for.
                let places = Places::to_be_asked(question.tags.len());
                let seat = join(link, question, Wanted::Tags, places, cx.waker());
                let entry = Some(entry);
                self.stage = Stage::Again(Box::new(Again { seat, entry, tags }));
                Poll::Pending
            }
            Stage::Again(again) => {
                let Part { versions, .. } = ready!(again.seat.poll(cx))?;
                let (entry, tags) = (again.entry.take(), again.tags.as_slice());
                let good =
                    entry.filter(|it| verdict(link, &it.bytes, tags, &versions) == Verdict::Good);
                Poll::Ready(Ok(good.map(Stored::Encoded)))
            }
        }
    }
}

/// What a read that joins others has still to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Value,
    /// Only the versions of its tags.
    Tags,
}

/// Joins those who are sent next, and sees to it that they are.
fn join(
    link: &Arc<Link>,
    question: Question<'_>,
    wanted: Wanted,
    places: Places,
    waker: &Waker,
) -> Seat {
    let (seat, turn) = link.gather.join(question, wanted, places, waker);
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

    fn join(
        &self,
        question: Question<'_>,
        wanted: Wanted,
        mut places: Places,
        waker: &Waker,
    ) -> (Seat, Turn) {
        let limit = self.limit();
        let mut next = self.next();
        let together =
            next.get_or_insert_with(|| Together::expecting(USUAL, question, question.names));
        let is_first = together.joined == 0;
        together.joined += 1;
        let value = (wanted == Wanted::Value).then(|| together.place_of_value(question));
        for (place, tag) in places.of.iter_mut().zip(question.tags) {
            if let Place::Asked(at) = place {
                *at = together.place_of(tag);
            }
        }
        let seat = together.callers.join(waker, value, places);
        let turn = match together.values + together.tags.len() {
            _ if is_first => Turn::First,
            count if count >= limit => next.take().map_or(Turn::Between, Turn::Last),
            _ => Turn::Between,
        };
        (seat, turn)
    }

    /// The versions of the tags that need not be asked for. Where the others will be is not known yet.
    fn places(&self, tags: &[Key]) -> Places {
        if tags.is_empty() {
            return Places::default();
        }
        let steady = self.latest.steady();
        let place = |tag| steady.version(tag).map_or(Place::Asked(0), Place::Known);
        Places {
            clock: steady.clock(),
            of: tags.iter().map(place).collect(),
        }
    }

    /// How many values fit into an answer.
    fn limit(&self) -> usize {
        let length = self.length.load(Ordering::Relaxed).max(1);
        (ANSWER / length).clamp(LEAST, MOST)
    }

    fn note_length(&self, values: &[Value]) {
        // What is shorter than the header of an entry is the version of a tag.
        let length = |value: &Value| match value {
            Value::BulkString(bytes) if bytes.len() >= HEADER => Some(bytes.len()),
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
    fn expecting(count: usize, question: Question<'_>, names: &Names) -> Self {
        Self {
            command: mget(count + 1, count * names.value(question.key).len()),
            tags: Vec::new(),
            places: HashMap::new(),
            floor: names.floor().to_bytes(),
            callers: Callers::expecting(count),
            joined: 0,
            values: 0,
        }
    }

    /// Where the value will be.
    fn place_of_value(&mut self, question: Question<'_>) -> usize {
        self.command.arg(question.names.value(question.key));
        self.values += 1;
        self.values - 1
    }

    /// Where the version of the tag will be.
    fn place_of(&mut self, tag: &Key) -> u32 {
        if let Some(place) = self.places.get(tag) {
            return *place;
        }
        // Far fewer than the bound on a command's keys.
        let place = self.tags.len() as u32;
        self.tags.push(tag.clone());
        self.places.insert(tag.clone(), place);
        place
    }
}

/// Gathered reads that nobody has sent. Dropped, as by a runtime that ends, they fail.
struct Unsent(Option<Arc<Link>>);

impl Unsent {
    fn joined(&self) -> usize {
        let next = self.0.as_ref().map(|link| link.gather.next());
        next.and_then(|next| next.as_ref().map(|together| together.joined))
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
        mut command,
        floor,
        callers,
        tags,
        values,
        ..
    } = together;
    for tag in &tags {
        let prefix = &floor[..floor.len() - FLOOR.len()];
        command.arg([prefix, b":", tag.as_bytes()].concat());
    }
    command.arg(&floor[..]);
    if let Some(replies) = while_wanted(read_all(&link, &command), || callers.are_gone()).await {
        let answers = replies.and_then(|replies| answers(&link, replies, values));
        if let Ok(answers) = &answers {
            let names = tags.iter().map(Key::as_bytes);
            let read = names.zip(answers.tags.iter().copied());
            link.gather.latest.learn(answers.floor, read);
        }
        callers.answer(answers);
    }
}

/// The replies to gathered reads: values, versions of tags, and the version of the namespace.
fn answers(
    link: &Arc<Link>,
    (mut values, now): (Vec<Value>, ServerTime),
    count: usize,
) -> Result<Answers, BackendError> {
    let mut versions = values.split_off(count.min(values.len()));
    let floor = tags::floor(link, &versions.pop().unwrap_or(Value::Nil))?;
    let versions = versions.iter().map(|version| tags::number(link, version));
    Ok(Answers {
        values,
        tags: versions.collect::<Result<_, _>>()?,
        floor,
        now,
    })
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
pub(super) async fn read_all(link: &Arc<Link>, command: &Cmd) -> Replies {
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

pub(super) fn mget(keys: usize, bytes: usize) -> Cmd {
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
