//! What was read, held against the versions that were read with it; tags that nobody thought of are asked for in a second round trip.

use std::sync::Arc;

use redis::{Cmd, Value};
use smallvec::SmallVec;

use super::clock::ServerTime;
use super::gather::{MOST, mget, read_all};
use super::latest::Known;
use super::link::Link;
use super::names::Names;
use super::tags::{self, Floor, Verdict, judge};
use super::unexpected;
use crate::backend::{Encoded, Stored};
use crate::entry::header;
use crate::error::BackendError;
use crate::key::Key;

/// A key that is looked up, with the tags that its value is likely to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) names: &'a Names,
    pub(super) key: &'a Key,
    pub(super) tags: &'a [Key],
}

impl Question<'_> {
    /// How many values its answer has.
    pub(super) fn count(&self) -> usize {
        1 + self.tags.len()
    }

    /// How long the names of its keys are together.
    pub(super) fn len(&self) -> usize {
        let tags = self.tags.iter().map(|tag| self.names.tag(tag.as_bytes()));
        self.names.value(self.key).len() + tags.map(|tag| tag.len()).sum::<usize>()
    }

    /// Adds its keys to a command.
    pub(super) fn ask(&self, command: &mut Cmd) {
        command.arg(self.names.value(self.key));
        for tag in self.tags {
            command.arg(self.names.tag(tag.as_bytes()));
        }
    }
}

/// What an answer came to.
pub(super) enum Judged {
    Found(Option<Stored>),
    /// It has tags that were not asked for.
    Unclear(Encoded),
}

/// Versions that were read.
pub(super) struct Read {
    pub(super) tags: SmallVec<[Known; 2]>,
    pub(super) floor: Option<Floor>,
}

impl Read {
    /// Those of tags, in their order, and that of the namespace.
    pub(super) fn of(
        link: &Arc<Link>,
        tags: &[Value],
        floor: &Value,
    ) -> Result<Self, BackendError> {
        let tags = tags.iter().map(|reply| tags::number(link, reply).map(Some));
        Ok(Self {
            tags: tags.collect::<Result<_, _>>()?,
            floor: tags::floor(link, floor)?,
        })
    }
}

/// Judges the value by the versions of the tags that were asked for with it, and of the namespace.
pub(super) fn judged(
    link: &Arc<Link>,
    value: Value,
    tags: &[Key],
    versions: &Read,
    now: ServerTime,
) -> Result<Judged, BackendError> {
    let Some(entry) = value_of(link, value, now)? else {
        return Ok(Judged::Found(None));
    };
    Ok(match verdict(link, &entry.bytes, tags, versions) {
        Verdict::Good => Judged::Found(Some(Stored::Encoded(entry))),
        Verdict::Old => Judged::Found(None),
        Verdict::Unclear => Judged::Unclear(entry),
    })
}

/// Judges the entry by the versions of these tags, and by what was read of others at the same time of the clock.
pub(super) fn verdict(link: &Arc<Link>, entry: &[u8], tags: &[Key], versions: &Read) -> Verdict {
    let known = |name: &[u8]| {
        let at = tags.iter().position(|tag| tag.as_bytes() == name);
        let told = at.and_then(|at| versions.tags.get(at).copied().flatten());
        told.or_else(|| link.gather.latest.at(versions.floor?.clock, name))
    };
    judge(entry, versions.floor, known)
}

/// Asks for the versions of the tags that the entries have, and drops those entries that are good no more.
pub(super) async fn look_again(
    link: &Arc<Link>,
    names: &Names,
    entries: &mut [Option<Encoded>],
) -> Result<(), BackendError> {
    let mut tags: Vec<&[u8]> = entries
        .iter()
        .flatten()
        .filter_map(|entry| header::depends(&entry.bytes))
        .flat_map(|(_, tags)| tags)
        .collect();
    tags.sort_unstable();
    tags.dedup();
    let mut versions = Vec::with_capacity(tags.len());
    let mut floor = None;
    // Later parts are read later, which is stricter and never less true.
    for part in tags.chunks(MOST) {
        let bytes: usize = part.iter().map(|&tag| names.tag(tag).len()).sum();
        let mut command = mget(part.len() + 1, bytes + names.floor().len());
        for &tag in part {
            command.arg(names.tag(tag));
        }
        command.arg(names.floor());
        let (mut replies, _) = read_all(link, &command).await?;
        floor = tags::floor(link, &replies.pop().unwrap_or(Value::Nil))?;
        let before = versions.len();
        for reply in &replies {
            versions.push(tags::number(link, reply)?);
        }
        let read = part.iter().copied().zip(versions[before..].iter().copied());
        link.gather.latest.learn(floor, read);
    }
    let verdicts: Vec<bool> = entries
        .iter()
        .map(|entry| {
            entry.as_ref().is_some_and(|entry| {
                let known = |name: &[u8]| {
                    let at = tags.binary_search(&name).ok()?;
                    versions.get(at).copied()
                };
                judge(&entry.bytes, floor, known) == Verdict::Good
            })
        })
        .collect();
    for (entry, is_good) in entries.iter_mut().zip(verdicts) {
        if !is_good {
            *entry = None;
        }
    }
    Ok(())
}

/// The entry, if the reply is one.
fn value_of(
    link: &Arc<Link>,
    reply: Value,
    now: ServerTime,
) -> Result<Option<Encoded>, BackendError> {
    match reply {
        Value::BulkString(bytes) => Ok(Some(now.age(bytes))),
        Value::Nil => Ok(None),
        // Another type under our key is no value of ours: a miss, and the next fill overwrites it.
        Value::ServerError(error) if error.code() == "WRONGTYPE" => Ok(None),
        other => link.accept(other).and_then(|_| Err(unexpected())),
    }
}
