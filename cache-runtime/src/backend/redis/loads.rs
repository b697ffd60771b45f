//! The leases of loads: asked for, renewed, filled and given up, for any number of keys in one round trip.

use std::time::{Duration, Instant};

use redis::Value;

use super::clock::ServerTime;
use super::scripts::{self, Call, PART, Script};
use super::tags::{block, version};
use super::{Redis, encoded, in_parts, lease_millis, millis, unexpected};
use crate::backend::{Fill, Lease, LeaseMode, Stored, Token, Versions};
use crate::error::BackendError;
use crate::key::Key;

/// What a script said of each entry, and its time, by which the answers are judged.
type Said = Vec<(Result<Value, BackendError>, ServerTime)>;

pub(super) async fn lease<'a>(
    redis: &Redis,
    asks: impl Iterator<Item = (&'a Key, &'a [Key], Token, &'a LeaseMode)> + Clone,
    ttl: Duration,
) -> Result<Vec<Lease>, BackendError> {
    let tokens = texts(asks.clone().map(|(_, _, token, _)| token));
    let blocks: Vec<_> = asks.clone().map(|(_, tags, ..)| block(tags)).collect();
    let args: Vec<_> = asks
        .clone()
        .zip(tokens.iter().zip(&blocks))
        .flat_map(|((.., mode), (token, tags))| [token.as_bytes(), passed_over(mode), tags])
        .collect();
    let keys = asks.map(|(key, ..)| key);
    let ttl = lease_millis(ttl);
    let said = run(redis, &scripts::LEASE, keys, &[ttl.as_bytes()], &args).await?;
    all(said.into_iter().map(|(answer, now)| leased(answer?, now)))
}

pub(super) async fn renew<'a>(
    redis: &Redis,
    held: impl Iterator<Item = (&'a Key, Token)> + Clone,
    ttl: Duration,
) -> Result<Vec<bool>, BackendError> {
    let tokens = texts(held.clone().map(|(_, token)| token));
    let args: Vec<_> = tokens.iter().map(String::as_bytes).collect();
    let keys = held.map(|(key, _)| key);
    let ttl = lease_millis(ttl);
    let said = run(redis, &scripts::RENEW, keys, &[ttl.as_bytes()], &args).await?;
    all(said.into_iter().map(|(answer, _)| yes(&answer?)))
}

pub(super) async fn release<'a>(
    redis: &Redis,
    held: impl Iterator<Item = (&'a Key, Token)> + Clone,
) -> Result<(), BackendError> {
    let tokens = texts(held.clone().map(|(_, token)| token));
    let args: Vec<_> = tokens.iter().map(String::as_bytes).collect();
    let keys = held.map(|(key, _)| key);
    let said = run(redis, &scripts::RELEASE, keys, &[], &args).await?;
    all(said.into_iter().map(|(answer, _)| answer)).map(drop)
}

/// A value with the lease under which it is to be stored, and how long it is kept.
pub(super) type Filled<'a> = (&'a Key, Token, &'a Stored, Duration);

pub(super) fn filled(fill: &Fill) -> Filled<'_> {
    (&fill.key, fill.token, &fill.value, fill.keep)
}

pub(super) async fn fill<'a>(
    redis: &Redis,
    fills: impl Iterator<Item = Filled<'a>> + Clone,
) -> Result<Vec<bool>, BackendError> {
    let tokens = texts(fills.clone().map(|(_, token, ..)| token));
    let keeps: Vec<_> = fills.clone().map(|(.., keep)| millis(keep)).collect();
    let mut args = Vec::with_capacity(tokens.len() * 6);
    for (((_, _, value, _), token), keep) in fills.clone().zip(&tokens).zip(&keeps) {
        let [first, middle, since, rest] = in_parts(encoded(value)?);
        let (token, keep) = (token.as_bytes(), keep.as_bytes());
        args.extend([token, first, middle, since, rest, keep]);
    }
    let keys = fills.map(|(key, ..)| key);
    let said = run(redis, &scripts::FILL, keys, &[], &args).await?;
    all(said.into_iter().map(|(answer, _)| yes(&answer?)))
}

/// Runs a script on all keys, in parts, and takes their replies apart.
async fn run<'a>(
    redis: &Redis,
    script: &Script,
    keys: impl Iterator<Item = &'a Key>,
    shared: &[&[u8]],
    own: &[&[u8]],
) -> Result<Said, BackendError> {
    let entries: Vec<_> = keys.map(|key| redis.entry(key)).collect();
    let call = Call {
        entries: &entries,
        shared,
        own,
    };
    let sent = Instant::now();
    let replies = redis.link.run_all(script, call.parts(PART)).await?;
    let took = sent.elapsed();
    let mut said = Vec::with_capacity(entries.len());
    for (reply, part) in replies.into_iter().zip(entries.chunks(PART)) {
        let (now, answers) = match redis.link.accept(reply).and_then(take_apart) {
            Ok((now, answers)) if answers.len() == part.len() => (now, answers),
            Ok(_) => return Err(unexpected()),
            Err(error) => {
                let now = ServerTime::of_script(0, took);
                said.extend(part.iter().map(|_| (Err(error.clone()), now)));
                continue;
            }
        };
        let now = ServerTime::of_script(now, took);
        said.extend(
            answers
                .into_iter()
                .map(|answer| (redis.link.accept(answer), now)),
        );
    }
    Ok(said)
}

/// The server's time, and the answers.
pub(super) fn take_apart(reply: Value) -> Result<(i64, Vec<Value>), BackendError> {
    if let Value::Array(mut answers) = reply
        && let Some(&Value::Int(now)) = answers.first()
    {
        answers.remove(0);
        return Ok((now, answers));
    }
    Err(unexpected())
}

/// The results, or the first error: all has been done by then.
fn all<T>(results: impl Iterator<Item = Result<T, BackendError>>) -> Result<Vec<T>, BackendError> {
    results.collect()
}

fn texts(tokens: impl Iterator<Item = Token>) -> Vec<String> {
    tokens.map(|token| token.to_string()).collect()
}

fn passed_over(mode: &LeaseMode) -> &[u8] {
    match mode {
        LeaseMode::IfMissing => b"0",
        LeaseMode::Refresh => b"1",
        LeaseMode::IfStill(mark) => mark.as_bytes(),
    }
}

fn yes(answer: &Value) -> Result<bool, BackendError> {
    match answer {
        Value::Int(answer) => Ok(*answer == 1),
        _ => Err(unexpected()),
    }
}

fn leased(answer: Value, now: ServerTime) -> Result<Lease, BackendError> {
    match answer {
        Value::BulkString(bytes) => Ok(Lease::Hit(Stored::Encoded(now.age(bytes)))),
        Value::Array(parts) => taken(&parts).ok_or_else(unexpected),
        _ => Err(unexpected()),
    }
}

fn taken(parts: &[Value]) -> Option<Lease> {
    let versions = |now: &Value, last: &Value| {
        Some(Versions {
            now: version(now)?,
            last: version(last)?,
        })
    };
    match parts {
        [Value::Int(0), now, last] => Some(Lease::Granted(versions(now, last)?)),
        [Value::Int(why), Value::BulkString(token), now, last] => {
            let token = Token::parse(std::str::from_utf8(token).ok()?)?;
            match why {
                1 => Some(Lease::Busy(token, versions(now, last)?)),
                2 => Some(Lease::Bypass(token, versions(now, last)?)),
                _ => None,
            }
        }
        _ => None,
    }
}
