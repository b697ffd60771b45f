//! Dead letters: writes that were given up, to be looked at, written again or thrown away.

use std::time::Duration;

use super::record;
use super::writer::{self, Keeper, Local, ToKeep, WriteArgument};
use crate::backend::Stored;
use crate::backend::log::{Append, Letter, Payload, Revival};
use crate::cache::Inner;
use crate::error::Error;
use crate::key::Key;

/// So many letters are read at once.
const PAGE: usize = 500;

/// A write that failed as often as it may, or that this program cannot read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its sequence number, by which it is retried or discarded.
    pub sequence: u64,
    /// The key that it is about.
    pub key: Key,
    /// The writer's path: `shop::users::save_user`.
    pub function: String,
    /// The text of the last error.
    pub error: String,
    /// How often it was tried; 0 for a write that could not be read.
    pub attempts: u32,
    /// How long ago it was given up.
    pub age: Duration,
    payload: Payload,
}

impl DeadLetter {
    /// Its arguments, in the form of [`Write::args`](crate::Write::args).
    ///
    /// # Errors
    ///
    /// A text that says why they cannot be read as an `A`.
    pub fn arguments<A: WriteArgument>(&self) -> Result<A, String> {
        match &self.payload {
            Payload::Typed(value) => value
                .downcast_ref::<Local<A>>()
                .map(|local| local.arguments.clone())
                .ok_or_else(|| record::OTHER_ARGUMENTS.to_owned()),
            Payload::Encoded(bytes) => record::decode_any(bytes),
        }
    }
}

impl From<Letter> for DeadLetter {
    fn from(letter: Letter) -> Self {
        Self {
            sequence: letter.sequence,
            key: letter.key,
            function: letter.function,
            error: letter.error,
            attempts: letter.attempts,
            age: letter.age,
            payload: letter.payload,
        }
    }
}

/// What became of a dead letter that was to be written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retried {
    /// It is pending again, as the newest write of its key, under this sequence number.
    Pending(u64),
    /// A later write has taken its place, so it is gone without having been written.
    Superseded,
    /// There is no such letter.
    Gone,
}

pub(crate) async fn all(inner: &Inner) -> Result<Vec<DeadLetter>, Error> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map_or(0, |letter| letter.sequence);
        let page = inner.writes.log.ask(|log| log.letters(after, PAGE)).await?;
        let is_last = page.len() < PAGE;
        letters.extend(page.into_iter().map(DeadLetter::from));
        if is_last {
            return Ok(letters);
        }
    }
}

pub(crate) async fn discard(inner: &Inner, sequence: u64) -> Result<bool, Error> {
    let log = &inner.writes.log;
    Ok(log.ask(|log| log.discard(sequence)).await?)
}

pub(crate) async fn retry(inner: &Inner, sequence: u64) -> Result<Retried, Error> {
    let log = &inner.writes.log;
    let before = sequence.saturating_sub(1);
    let found = log.ask(|log| log.letters(before, 1)).await?.pop();
    let Some(letter) = found.filter(|letter| letter.sequence == sequence) else {
        return Ok(Retried::Gone);
    };
    let (value, merges) = seen_of(inner, &letter);
    let write = Append {
        key: letter.key.clone(),
        function: letter.function,
        payload: letter.payload,
        value,
        max_pending: u64::MAX,
    };
    let revived = log.ask(|log| log.revive(sequence, write, !merges)).await;
    inner.epochs.advance(std::slice::from_ref(&letter.key));
    Ok(match revived.map_err(Error::NotLogged)? {
        Revival::Logged(sequence) => Retried::Pending(sequence),
        Revival::Superseded => Retried::Superseded,
        Revival::Gone => Retried::Gone,
    })
}

/// What readers are to see of the letter's write, and whether its writer merges. Of a writer that this program does not have nothing is known.
fn seen_of(inner: &Inner, letter: &Letter) -> (Option<(Stored, Duration)>, bool) {
    for writer in writer::all() {
        let spec = writer.spec();
        if writer::path_of(spec) != letter.function {
            continue;
        }
        if let Ok(arguments) = writer.read(&letter.payload) {
            let kept = writer.kept(&arguments, Keeper { inner, spec });
            let value = kept.map(|ToKeep(stored, keep)| (stored, keep));
            return (value, writer.merges());
        }
    }
    (None, false)
}
