//! Leases of many keys that are most likely cold: asked for without a script, which would cost the server as much again as all else that a
//! batch of misses does.
//!
//! A lease by itself is a string, so `SET … NX` grants it where there is no state at all, and a look at the value *after* that tells whether
//! one has come meanwhile: whoever stores one later ends this lease first, or finds it. Where there is a state, the script says what it means.

use std::time::Duration;

use redis::{Cmd, Pipeline, Value};

use super::clock::ServerTime;
use super::tags::{self, Floor, Verdict, judge};
use super::{Redis, lease_millis, loads};
use crate::backend::{Ask, HeldLease, Lease, LeaseMode, Stored, TagVersion, Tags, Versions};
use crate::error::BackendError;
use crate::key::Key;

/// How many keys are looked at by one command: the server answers nobody else meanwhile.
const PART: usize = 256;

/// What is known of one question.
enum Seen {
    Answer(Lease),
    /// The value came meanwhile, and the lease was granted beside it.
    HitBesideLease(Lease),
    /// There is a state, which only the script understands.
    Unclear,
    /// The lease was granted, and there is a value with tags of which nothing is known.
    UnclearBesideLease,
}

pub(super) async fn lease(
    redis: &Redis,
    asks: &[Ask],
    ttl: Duration,
) -> Result<Vec<Lease>, BackendError> {
    let mut seen = Vec::with_capacity(asks.len());
    for part in asks.chunks(PART) {
        seen.extend(look(redis, part, ttl).await?);
    }
    let beside = |(ask, seen): (&Ask, &Seen)| match seen {
        Seen::HitBesideLease(_) | Seen::UnclearBesideLease => Some((ask.key.clone(), ask.token)),
        Seen::Answer(_) | Seen::Unclear => None,
    };
    let not_needed: Vec<HeldLease> = asks.iter().zip(&seen).filter_map(beside).collect();
    if !not_needed.is_empty() {
        let held = not_needed.iter().map(|(key, token)| (key, *token));
        loads::release(redis, held).await?;
    }
    let unclear = asks
        .iter()
        .zip(&seen)
        .filter(|(_, seen)| matches!(seen, Seen::Unclear | Seen::UnclearBesideLease))
        .map(|(ask, _)| (&ask.key, ask.tags.as_slice(), ask.token, &ask.mode));
    let mut clear = loads::lease(redis, unclear, ttl).await?.into_iter();
    let answers = seen.into_iter().filter_map(|seen| match seen {
        Seen::Answer(lease) | Seen::HitBesideLease(lease) => Some(lease),
        Seen::Unclear | Seen::UnclearBesideLease => clear.next(),
    });
    Ok(answers.collect())
}

/// Takes the leases that are free, and looks at the values then.
async fn look(redis: &Redis, asks: &[Ask], ttl: Duration) -> Result<Vec<Seen>, BackendError> {
    let ttl = lease_millis(ttl);
    let mut commands = Pipeline::with_capacity(asks.len() + 1);
    for ask in asks {
        let mut grant = Cmd::with_capacity(6, 192);
        grant.arg("SET").arg(redis.names.state(&ask.key));
        grant
            .arg(ask.token.to_string())
            .arg("PX")
            .arg(&ttl)
            .arg("NX");
        commands.add_command(grant);
    }
    let mut tags: Vec<&Key> = asks.iter().flat_map(|ask| ask.tags.as_slice()).collect();
    tags.sort_unstable();
    tags.dedup();
    let count = asks.len() + tags.len() + 1;
    let mut values = Cmd::with_capacity(count + 1, 64 * count);
    values.arg("MGET");
    for ask in asks {
        values.arg(redis.names.value(&ask.key));
    }
    for tag in &tags {
        values.arg(redis.names.tag(tag.as_bytes()));
    }
    values.arg(redis.names.floor());
    commands.add_command(values);
    let (mut replies, now) = redis.link.read_all(commands).await?;
    let Some(Value::Array(mut values)) = replies.pop().filter(|values| is_of(values, count)) else {
        // A user who may not: the script finds its own token, and takes it for another's.
        let held = asks.iter().map(|ask| (&ask.key, ask.token));
        loads::release(redis, held).await?;
        return Ok(asks.iter().map(|_| Seen::Unclear).collect());
    };
    let mut versions = values.split_off(asks.len());
    let floor = versions.pop().unwrap_or(Value::Nil);
    let floor = tags::floor(&redis.link, &floor)?;
    let versions = versions
        .iter()
        .map(|version| tags::number(&redis.link, version));
    let versions = versions.collect::<Result<Vec<_>, _>>()?;
    // What is missing is made anew, and is then as new as can be: so is what is loaded from now on.
    let missing = tags.iter().zip(&versions);
    let missing = missing.filter(|(_, version)| version.is_none());
    let missing: Vec<Key> = missing.map(|(tag, _)| (*tag).clone()).collect();
    let made = if missing.is_empty() && floor.is_some() {
        None
    } else {
        Some(tags::versions(&redis.link, &redis.names, &missing).await?)
    };
    let looked = Looked {
        tags,
        versions,
        floor,
        made,
        now,
    };
    let seen = asks.iter().zip(replies).zip(values);
    Ok(seen
        .map(|((ask, granted), value)| looked.see(ask, &granted, value))
        .collect())
}

fn is_of(values: &Value, count: usize) -> bool {
    matches!(values, Value::Array(values) if values.len() == count)
}

/// What was looked at beside the values.
struct Looked<'a> {
    /// In their order.
    tags: Vec<&'a Key>,
    versions: Vec<Option<u64>>,
    floor: Option<Floor>,
    /// What was said when missing versions were made anew.
    made: Option<Versions>,
    now: ServerTime,
}

impl Looked<'_> {
    fn see(&self, ask: &Ask, granted: &Value, value: Value) -> Seen {
        let is_granted = *granted == Value::Okay;
        // There is a state: the value may be that of a pending write, which is never old. Or refused: there may be no memory, which the
        // script says in its own words.
        if !is_granted {
            return Seen::Unclear;
        }
        let found = match value {
            Value::BulkString(bytes) => Some(self.now.age(bytes)),
            _ => None,
        };
        if let Some(found) = found {
            match judge(&found.bytes, self.floor, |tag| self.version(tag)) {
                Verdict::Old => {}
                Verdict::Unclear => return Seen::UnclearBesideLease,
                Verdict::Good => {
                    let found = Stored::Encoded(found);
                    let is_passed_over = match ask.mode {
                        LeaseMode::IfMissing => false,
                        LeaseMode::IfStill(mark) => found.mark() == mark,
                        LeaseMode::Refresh => true,
                    };
                    if !is_passed_over {
                        return Seen::HitBesideLease(Lease::Hit(found));
                    }
                }
            }
        }
        match self.versions_of(&ask.tags) {
            Some(versions) => Seen::Answer(Lease::Granted(versions)),
            None => Seen::UnclearBesideLease,
        }
    }

    fn version(&self, tag: &[u8]) -> Option<Option<u64>> {
        let at = self.tags.binary_search_by_key(&tag, |tag| tag.as_bytes());
        at.ok().and_then(|at| self.versions.get(at).copied())
    }

    /// What the caller is told of its tags.
    fn versions_of(&self, tags: &Tags) -> Option<Versions> {
        let made = self.made.map(|made| made.now.number());
        let now = self.floor.map(|it| it.clock).max(made)?;
        let mut last = self.floor.map(|it| it.floor).or(made)?;
        for tag in tags.as_slice() {
            last = last.max(self.version(tag.as_bytes())?.or(made)?);
        }
        Some(Versions {
            now: TagVersion::from_number(now),
            last: TagVersion::from_number(last),
        })
    }
}
