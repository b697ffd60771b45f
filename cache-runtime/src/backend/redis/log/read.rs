//! The pending writes of a partition.

use std::time::Duration;

use redis::{Cmd, Value};

use super::super::clock::ServerTime;
use super::super::loads::take_apart;
use super::super::{Redis, scripts};
use super::reply::{self, Entry};
use crate::backend::log::LoggedWrite;
use crate::error::BackendError;

/// So many bytes of writes are read at once, unless one alone has more.
const PAGE: usize = 1 << 20;

pub(super) async fn read(
    redis: &Redis,
    partition: u8,
    after: u64,
    most: usize,
) -> Result<Vec<LoggedWrite>, BackendError> {
    let (entries, now) = range(redis, partition, after, most).await?;
    let strangers: Vec<_> = entries
        .iter()
        .map(|entry| entry.id.as_str())
        .filter(|id| reply::sequence_of(id).is_none())
        .collect();
    if strangers.is_empty() {
        return Ok(writes(entries, now));
    }
    if let Err(error) = adopt(redis, partition, &strangers).await {
        // One with the greatest id that there can be is such. The others must get out of the log all the same.
        tracing::error!(partition, %error, "entries of the write log that no cache has written stay in it");
        return Ok(writes(entries, now));
    }
    let (entries, now) = range(redis, partition, after, most).await?;
    Ok(writes(entries, now))
}

async fn range(
    redis: &Redis,
    partition: u8,
    after: u64,
    most: usize,
) -> Result<(Vec<Entry>, ServerTime), BackendError> {
    let args = [
        partition.to_string(),
        after.to_string(),
        most.to_string(),
        PAGE.to_string(),
    ];
    let args = args.each_ref().map(String::as_bytes);
    let (now, entries) = take_apart(redis.run_on_log(&scripts::READ, &[], &args).await?)?;
    let now = ServerTime::of_script(now, Duration::ZERO);
    Ok((entries.into_iter().filter_map(reply::entry).collect(), now))
}

/// Gives sequence numbers to entries of somebody else that have none, so that they can be named, and so removed.
async fn adopt(redis: &Redis, partition: u8, ids: &[&str]) -> Result<(), BackendError> {
    tracing::warn!(
        partition,
        entries = ids.len(),
        "the write log holds entries that no cache has written"
    );
    let partition = partition.to_string();
    let mut args = vec![partition.as_bytes()];
    args.extend(ids.iter().map(|id| id.as_bytes()));
    redis
        .run_on_log(&scripts::ADOPT, &[], &args)
        .await
        .map(drop)
}

/// A sequence number is a time in microseconds, unless that of the server was set back.
fn writes(entries: Vec<Entry>, now: ServerTime) -> Vec<LoggedWrite> {
    let write = |entry: Entry| {
        let sequence = reply::sequence_of(&entry.id)?;
        Some(LoggedWrite {
            sequence,
            key: entry.key,
            function: entry.function,
            payload: entry.payload,
            age: now.since(sequence),
        })
    };
    entries.into_iter().filter_map(write).collect()
}

/// The first entry of a partition, to be asked for together with others.
pub(super) fn first(redis: &Redis, partition: u8) -> Cmd {
    let mut command = Cmd::with_capacity(6, 128);
    command
        .arg("XRANGE")
        .arg(redis.names.partition(partition))
        .arg("-")
        .arg("+")
        .arg("COUNT")
        .arg(1);
    command
}

/// How long ago the entry was written that [`first`] found.
pub(super) fn age_of(found: Value, now: ServerTime) -> Option<Duration> {
    let entry = reply::entry(reply::array(found).into_iter().next()?)?;
    Some(now.since(reply::sequence_of(&entry.id)?))
}
