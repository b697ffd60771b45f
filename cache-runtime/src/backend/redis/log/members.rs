//! Who works on which partition.

use std::time::Duration;

use super::super::{Redis, lease_millis, scripts, unexpected};
use super::reply;
use crate::backend::Token;
use crate::backend::log::{Attendance, Owned, PARTITIONS};
use crate::error::BackendError;

pub(super) async fn attend(
    redis: &Redis,
    member: Token,
    ttl: Duration,
) -> Result<Attendance, BackendError> {
    let (member, ttl) = (member.to_string(), lease_millis(ttl));
    let args = [member.as_bytes(), ttl.as_bytes()];
    let answer = redis.run_on_log(&scripts::ATTEND, &[], &args).await?;
    let mut numbers = reply::array(answer).into_iter().map_while(reply::number);
    let share = numbers.next().and_then(|share| u8::try_from(share).ok());
    let share = share.ok_or_else(unexpected)?;
    let next = std::iter::from_fn(|| Some((numbers.next()?, numbers.next()?)));
    let owned = next.filter_map(|(partition, term)| {
        let partition = u8::try_from(partition).ok();
        let partition = partition.filter(|&partition| partition < PARTITIONS)?;
        Some(Owned { partition, term })
    });
    Ok(Attendance {
        owned: owned.collect(),
        share,
    })
}

pub(super) async fn resign(
    redis: &Redis,
    member: Token,
    partitions: &[u8],
) -> Result<(), BackendError> {
    give_up(redis, member, b"0", partitions.iter().copied()).await
}

pub(super) async fn leave(redis: &Redis, member: Token) -> Result<(), BackendError> {
    give_up(redis, member, b"1", 0..PARTITIONS).await
}

async fn give_up(
    redis: &Redis,
    member: Token,
    leaves: &[u8],
    partitions: impl Iterator<Item = u8>,
) -> Result<(), BackendError> {
    let member = member.to_string();
    let partitions: Vec<_> = partitions.map(|partition| partition.to_string()).collect();
    let mut args = vec![member.as_bytes(), leaves];
    args.extend(partitions.iter().map(String::as_bytes));
    redis
        .run_on_log(&scripts::RESIGN, &[], &args)
        .await
        .map(drop)
}
