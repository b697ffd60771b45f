//! How full the log is, and what puts it at risk.

use redis::{Pipeline, Value};

use super::super::{Redis, failure};
use super::{read, reply};
use crate::backend::log::{LogSize, PARTITIONS};
use crate::error::{BackendError, BackendErrorKind};

pub(super) async fn size(redis: &Redis) -> Result<LogSize, BackendError> {
    let log = redis.names.log();
    let mut commands = Pipeline::with_capacity(2 + usize::from(PARTITIONS));
    commands.cmd("HGETALL").arg(format!("{log}/count"));
    let beyond = format!("({}", reply::BEYOND);
    let letters = commands.cmd("ZCOUNT").arg(format!("{log}/dead"));
    letters.arg(0).arg(beyond);
    for partition in 0..PARTITIONS {
        commands.add_command(read::first(redis, partition));
    }
    let (replies, now) = redis.link.read_all(commands).await?;
    let mut replies = replies.into_iter().map(|reply| match reply {
        // Another type under the name holds nothing of ours.
        Value::ServerError(error) if error.code() == "WRONGTYPE" => Ok(Value::Nil),
        reply => redis.link.accept(reply),
    });
    let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
    let (counts, letters) = (next()?, next()?);
    let mut lag = None;
    for first in replies {
        lag = lag.max(read::age_of(first?, now));
    }
    Ok(LogSize {
        pending: reply::pairs(counts)
            .into_iter()
            .filter_map(pending)
            .collect(),
        lag,
        letters: reply::number(letters).unwrap_or(0),
    })
}

fn pending((function, count): (Value, Value)) -> Option<(String, u64)> {
    let count = reply::number(count).filter(|&count| count > 0)?;
    Some((reply::text(function)?, count))
}

pub(super) async fn dangers(redis: &Redis) -> Result<Vec<String>, BackendError> {
    let mut commands = Pipeline::with_capacity(3);
    commands.cmd("INFO").arg("persistence");
    commands.cmd("INFO").arg("memory");
    commands.cmd("CONFIG").arg("GET").arg("appendfsync");
    let mut replies = redis.link.send_all(&commands).await?.into_iter();
    let mut next = || told(replies.next().unwrap_or(Value::Nil));
    let (persistence, memory, fsync) = (next(), next(), next());
    let fsync = fsync.and_then(|settings| {
        let (_, setting) = reply::pairs(settings).into_iter().next()?;
        reply::text(setting)
    });
    let persistence = persistence.and_then(reply::text).unwrap_or_default();
    if is_loading(&persistence) {
        return Err(BackendError::new(
            BackendErrorKind::Unavailable,
            "the server is loading its data",
        ));
    }
    let memory = memory.and_then(reply::text).unwrap_or_default();
    Ok(judge(&persistence, &memory, fsync.as_deref()))
}

/// What the server says of itself, if it does: many a user may not ask, and many a hosted server does not tell.
fn told(reply: Value) -> Option<Value> {
    match reply {
        Value::ServerError(error) => {
            let reason = failure::answered(&error);
            tracing::debug!(%reason, "how safe the write log is could not be checked in full");
            None
        }
        reply => Some(reply),
    }
}

/// While a server reads its append-only file it says that it keeps none.
fn is_loading(persistence: &str) -> bool {
    line(persistence, "loading") == Some("1")
}

fn judge(persistence: &str, memory: &str, fsync: Option<&str>) -> Vec<String> {
    let mut dangers = Vec::new();
    match (line(persistence, "aof_enabled"), fsync) {
        (Some("0"), _) => dangers.push(
            "the server keeps no append-only file: a crash of it loses every pending write; set `appendonly yes`"
                .into(),
        ),
        (Some(_), Some("everysec")) => dangers.push(
            "the server writes its append-only file to disk once a second: a crash of its machine loses the pending writes of up to that time; \
             set `appendfsync always`"
                .into(),
        ),
        (Some(_), Some("no")) => dangers.push(
            "the server leaves it to its system when to write the append-only file to disk: a crash of its machine loses the pending writes since \
             then; set `appendfsync always`"
                .into(),
        ),
        _ => {}
    }
    let is_bounded = line(memory, "maxmemory").is_some_and(|bytes| bytes != "0");
    let policy = line(memory, "maxmemory_policy").filter(|policy| policy.starts_with("allkeys-"));
    if let (true, Some(policy)) = (is_bounded, policy) {
        dangers.push(format!(
            "the server may evict the log with its pending writes when its memory is full: `maxmemory-policy {policy}`; set `noeviction` or a \
             `volatile-` policy"
        ));
    }
    dangers
}

/// The value of a line `name:value`.
fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: &str = "# Persistence\r\nloading:0\r\naof_enabled:1\r\n";

    fn first_words(dangers: &[String]) -> Vec<&str> {
        dangers.iter().map(|danger| &danger[..24]).collect()
    }

    #[test]
    fn a_server_that_is_loading_is_not_judged() {
        assert!(is_loading(
            "# Persistence\r\nloading:1\r\naof_enabled:0\r\n"
        ));
        assert!(!is_loading(SAFE));
        assert!(!is_loading(""));
    }

    #[test]
    fn each_danger_is_a_sentence() {
        let unbounded = "maxmemory:0\r\nmaxmemory_human:0B\r\nmaxmemory_policy:allkeys-lru\r\n";
        assert_eq!(judge(SAFE, unbounded, Some("always")), [""; 0]);
        assert_eq!(judge("", "", None), [""; 0]);
        let crash = judge("aof_enabled:0\r\n", unbounded, Some("always"));
        assert_eq!(first_words(&crash), ["the server keeps no appe"]);
        let second = judge(SAFE, unbounded, Some("everysec"));
        assert_eq!(first_words(&second), ["the server writes its ap"]);
        let bounded = "maxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n";
        let evicted = judge(SAFE, bounded, Some("no"));
        assert_eq!(
            first_words(&evicted),
            ["the server leaves it to ", "the server may evict the"]
        );
        let bounded = "maxmemory:1000\r\nmaxmemory_policy:volatile-ttl\r\n";
        assert_eq!(judge(SAFE, bounded, None), [""; 0]);
    }
}
