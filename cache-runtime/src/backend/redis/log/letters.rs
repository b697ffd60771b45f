//! Dead letters.

use std::time::Duration;

use redis::Value;

use super::super::clock::ServerTime;
use super::super::loads::take_apart;
use super::super::{Redis, scripts, unexpected};
use super::append::Parts;
use super::reply;
use crate::backend::log::{Append, Letter, Revival};
use crate::error::BackendError;

pub(super) async fn letters(
    redis: &Redis,
    after: u64,
    most: usize,
) -> Result<Vec<Letter>, BackendError> {
    let args = [after.to_string(), most.to_string()];
    let args = args.each_ref().map(String::as_bytes);
    let answer = redis.run_on_log(&scripts::LETTERS, &[], &args).await?;
    let (now, found) = take_apart(answer)?;
    let now = ServerTime::of_script(now, Duration::ZERO);
    Ok(found
        .into_iter()
        .filter_map(|found| letter(found, now))
        .collect())
}

fn letter(found: Value, now: ServerTime) -> Option<Letter> {
    let mut parts = reply::array(found).into_iter();
    let sequence = reply::number(parts.next()?)?;
    let mut fields = reply::array(parts.next()?).into_iter();
    let mut next = || fields.next().unwrap_or(Value::Nil);
    let [key, function, arguments, error, attempts, time] = std::array::from_fn(|_| next());
    let attempts = reply::number(attempts).unwrap_or(0);
    let buried = reply::number(time).unwrap_or(0);
    Some(Letter {
        sequence,
        key: reply::text(key).unwrap_or_default().into(),
        function: reply::text(function).unwrap_or_default(),
        payload: reply::payload(arguments),
        error: reply::text(error).unwrap_or_default(),
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        age: now.since(buried.saturating_mul(1000)),
    })
}

pub(super) async fn revive(
    redis: &Redis,
    sequence: u64,
    write: Append,
    unless_newer: bool,
) -> Result<Revival, BackendError> {
    let (letter, parts) = (sequence.to_string(), Parts::of(&write)?);
    let unless_newer: &[u8] = if unless_newer { b"1" } else { b"0" };
    let mut args = vec![letter.as_bytes(), unless_newer, write.key.as_bytes()];
    args.extend(parts.args());
    let entries = [redis.names.entry(&write.key)];
    let answer = redis.run_on_log(&scripts::REVIVE, &entries, &args).await?;
    match reply::number(answer).ok_or_else(unexpected)? {
        0 => Ok(Revival::Gone),
        1 => Ok(Revival::Superseded),
        sequence => Ok(Revival::Logged(sequence)),
    }
}

pub(super) async fn discard(redis: &Redis, sequence: u64) -> Result<bool, BackendError> {
    let letter = sequence.to_string();
    redis
        .ask_log(&scripts::DISCARD, &[], &[letter.as_bytes()])
        .await
}
