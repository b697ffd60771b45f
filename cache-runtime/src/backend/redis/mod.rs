//! The Redis backend: values as strings, states of loads and writes in a hash beside each, one connection.

pub(crate) mod accesses;
mod builder;
mod bus;
mod clock;
mod cold;
mod failure;
mod gather;
mod judged;
mod latest;
mod link;
mod loads;
pub(crate) mod log;
#[cfg(mutants)]
mod mutants;
mod names;
mod reply;
mod scripts;
mod seats;
mod sweep;
mod tags;
#[cfg(feature = "tls")]
mod tls;
mod url;
mod wake;

use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};

pub use self::builder::RedisBuilder;
pub use self::bus::{RedisBus, RedisBusBuilder};
use self::link::Link;
use self::log::Appends;
use self::names::{Name, Names};
use self::scripts::{Call, Script};
use self::url::Target;
use super::log::WriteLog;
use super::{
    Ask, Backend, BackendFuture, Fill, Format, HeldLease, Lease, LeaseMode, Stored, TagVersion,
    Token, Versions, WriteEnd,
};
use crate::entry::header::{self, SINCE};
use crate::error::{BackendError, BackendErrorKind, ConfigError};
use crate::key::Key;

/// How many keys one round trip invalidates at most.
const BATCH: usize = 1000;

/// A fence outlives its value by this long.
const FENCE_KEPT: Duration = Duration::from_secs(25 * 60 * 60);

/// No lease or intent is longer: the scripts take a longer one for garbage.
const LONGEST_LEASE: Duration = Duration::from_secs(23 * 60 * 60);

/// No value is kept longer. Far below the expiry that Redis refuses.
const LONGEST_TTL: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The connection is left after so many pings in a row without an answer: each is given little time.
const SILENT_PINGS: u32 = 10;

/// Keeps entries in a Redis server, version 6 or newer, that any number of processes share.
///
/// A hit is one `MGET` of the value, the versions of the tags that its caller names, and the version of the namespace. Versions of other tags take a second one, unless they were
/// read since any tag of the namespace was invalidated. Reads that come while others are on their way are sent together in one, without waiting for more of them. All commands go over one connection; when it is lost, operations fail at once with
/// [`BackendErrorKind::Unavailable`] while it is made again in the background, first at once, then every 10 to 200 ms.
/// Operations have no time limit of their own but that of their caller.
///
/// The backend belongs to the tokio runtime that [`connect`](RedisBuilder::connect) was called in: when that runtime ends, so does the
/// connection, for good.
///
/// A user of an access control list needs the commands `HELLO`, `SELECT`, `PING`, `GET`, `MGET`, `SET`, `UNLINK`, `HGETALL`, `HLEN`, `HSET`, `HDEL`, `PTTL`,
/// `PEXPIRE`, `EXISTS`, `TIME`, `EVAL`, `EVALSHA`, `SCAN`, `SUBSCRIBE`, `UNSUBSCRIBE` and `PUBLISH`, keys `{<namespace>:*` and `{<namespace>/tags}*`, and channels
/// `{<namespace>:*`. Without the channels it works, but waits for loads of other processes by polling; without `MGET` it reads values one by one.
///
/// For [writes that are logged](WriteLog) the user also needs `GETSET`, `HGET`, `HMGET`, `HEXISTS`, `HINCRBY`, `PERSIST`, `XADD`, `XDEL`, `XLEN`, `XRANGE`, `XINFO`,
/// `ZADD`, `ZREM`, `ZCARD`, `ZCOUNT`, `ZRANGEBYSCORE`, `ZREVRANGEBYSCORE` and `ZREMRANGEBYSCORE`, and keys `{<namespace>/log}*`. With `INFO` and `CONFIG|GET` the cache tells
/// whether the server may lose them. The log has a hash slot of its own, so Redis Cluster would need two steps for an append: it is not supported.
///
/// ```no_run
/// use cache_runtime::backend::redis::Redis;
///
/// # async fn example() -> Result<(), cache_runtime::Error> {
/// let redis = Redis::from_url("redis://:secret@127.0.0.1:6379/0")?.namespace("shop").connect().await?;
/// # Ok(())
/// # }
/// ```
pub struct Redis {
    link: Arc<Link>,
    names: Arc<Names>,
    appends: Arc<Appends>,
}

impl Redis {
    /// Reads a URL and gives the builder of a backend on that server.
    ///
    /// | URL | server |
    /// | --- | --- |
    /// | `redis://user:password@host:6379/0` | over TCP; user, password, port and database number may be left out |
    /// | `rediss://…` | the same over TLS, with the cargo feature `tls` |
    /// | `unix:///run/redis.sock?db=0&user=u&pass=p` | over a unix socket; also as `redis+unix://` |
    ///
    /// `?connect_timeout=500ms` sets how long an attempt to connect may take. User and password are percent-encoded.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the part that is wrong; it never holds a user or password.
    pub fn from_url(url: &str) -> Result<RedisBuilder, ConfigError> {
        Target::parse(url).map(RedisBuilder::new)
    }

    fn entry<'a>(&'a self, key: &'a Key) -> [Name<'a>; 2] {
        self.names.entry(key)
    }

    async fn run(&self, script: &Script, key: &Key, args: &[&[u8]]) -> Result<Value, BackendError> {
        let call = Call {
            entries: &[self.entry(key)],
            shared: &[],
            own: args,
        };
        self.link.run(script, call).await
    }

    /// Runs a script that answers 1 or 0.
    async fn ask(&self, script: &Script, key: &Key, args: &[&[u8]]) -> Result<bool, BackendError> {
        match self.run(script, key, args).await? {
            Value::Int(answer) => Ok(answer == 1),
            _ => Err(unexpected()),
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("names", &self.names)
            .field("link", &self.link)
            .finish()
    }
}

impl Backend for Redis {
    fn format(&self) -> Format {
        Format::Encoded
    }

    fn name(&self) -> &'static str {
        "redis"
    }

    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>> {
        gather::get(&self.link, &self.names, key, &[])
    }

    fn get_tagged<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
    ) -> BackendFuture<'a, Option<Stored>> {
        gather::get(&self.link, &self.names, key, tags)
    }

    fn get_many<'a>(
        &'a self,
        keys: &'a [Key],
        tags: &'a [Key],
    ) -> BackendFuture<'a, Vec<Option<Stored>>> {
        Box::pin(gather::get_many(&self.link, &self.names, keys, tags))
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        Box::pin(async move {
            let asks = iter::once((key, tags, token, &mode));
            only(loads::lease(self, asks, ttl).await?)
        })
    }

    fn lease_many<'a>(&'a self, asks: &'a [Ask], ttl: Duration) -> BackendFuture<'a, Vec<Lease>> {
        Box::pin(cold::lease(self, asks, ttl))
    }

    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool> {
        Box::pin(async move { only(loads::renew(self, iter::once((key, token)), ttl).await?) })
    }

    fn renew_many<'a>(
        &'a self,
        held: &'a [HeldLease],
        ttl: Duration,
    ) -> BackendFuture<'a, Vec<bool>> {
        let held = held.iter().map(|(key, token)| (key, *token));
        Box::pin(loads::renew(self, held, ttl))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        Box::pin(async move {
            let fills = iter::once((key, token, &value, keep));
            only(loads::fill(self, fills).await?)
        })
    }

    fn fill_many(&self, fills: Vec<Fill>) -> BackendFuture<'_, Vec<bool>> {
        Box::pin(async move { loads::fill(self, fills.iter().map(loads::filled)).await })
    }

    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()> {
        Box::pin(loads::release(self, iter::once((key, token))))
    }

    fn release_many<'a>(&'a self, held: &'a [HeldLease]) -> BackendFuture<'a, ()> {
        let held = held.iter().map(|(key, token)| (key, *token));
        Box::pin(loads::release(self, held))
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            for batch in keys.chunks(BATCH) {
                let entries: Vec<_> = batch.iter().map(|key| self.entry(key)).collect();
                self.link.run_on_all(&scripts::INVALIDATE, &entries).await?;
            }
            Ok(())
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Stored, keep: Duration) -> BackendFuture<'a, bool> {
        Box::pin(async move {
            let [first, middle, since, rest] = in_parts(encoded(&value)?);
            let keep = millis(keep);
            let args = [first, middle, since, rest, keep.as_bytes()];
            self.ask(&scripts::PUT, key, &args).await
        })
    }

    fn begin_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, TagVersion> {
        Box::pin(async move {
            let args = [
                token.to_string(),
                lease_millis(ttl),
                Token::fresh().to_string(),
            ];
            let args = args.each_ref().map(String::as_bytes);
            let answer = self.run(&scripts::BEGIN_WRITE, key, &args).await?;
            tags::version(&answer).ok_or_else(unexpected)
        })
    }

    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        Box::pin(async move {
            self.ask(
                &scripts::RENEW_WRITE,
                key,
                &[token.to_string().as_bytes(), lease_millis(ttl).as_bytes()],
            )
            .await
        })
    }

    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd> {
        Box::pin(async move {
            let (token, generation) = (token.to_string(), Token::fresh().to_string());
            let clean = match &value {
                None => {
                    self.ask(
                        &scripts::END_WRITE,
                        key,
                        &[token.as_bytes(), generation.as_bytes()],
                    )
                    .await?
                }
                Some((stored, keep)) => {
                    let [first, middle, since, rest] = in_parts(encoded(stored)?);
                    let keep = millis(*keep);
                    let args = [
                        token.as_bytes(),
                        generation.as_bytes(),
                        first,
                        middle,
                        since,
                        rest,
                        keep.as_bytes(),
                    ];
                    self.ask(&scripts::END_WRITE, key, &args).await?
                }
            };
            Ok(if clean {
                WriteEnd::Clean
            } else {
                WriteEnd::Overlapped
            })
        })
    }

    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        Box::pin(async move {
            let [first, middle, since, rest] = in_parts(encoded(&value)?);
            let args = [
                format!("{version:020}"),
                millis(keep),
                millis(keep.saturating_add(FENCE_KEPT)),
            ];
            let [version, keep, kept] = args.each_ref().map(String::as_bytes);
            let args = [version, first, middle, since, rest, keep, kept];
            self.ask(&scripts::PUT_IF_NEWER, key, &args).await
        })
    }

    fn versions<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, Versions> {
        Box::pin(tags::versions(&self.link, &self.names, tags))
    }

    fn invalidate_tags<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, ()> {
        Box::pin(tags::invalidate(&self.link, &self.names, tags))
    }

    fn bump_namespace(&self) -> BackendFuture<'_, ()> {
        Box::pin(tags::bump(&self.link, &self.names))
    }

    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()> {
        Box::pin(wake::wait(&self.link, &self.names, key, token, patience))
    }

    /// Takes as long as a scan of the whole database, twice; safe to drop and to call again.
    fn clear(&self) -> BackendFuture<'_, ()> {
        Box::pin(sweep::clear(&self.link, &self.names))
    }

    fn write_log(&self) -> Option<&dyn WriteLog> {
        Some(self)
    }

    fn ping(&self) -> BackendFuture<'_, ()> {
        Box::pin(async move {
            let mut ping = Cmd::with_capacity(1, 4);
            ping.arg("PING");
            let silence = self.link.listen(SILENT_PINGS, Duration::ZERO);
            let answer = self.link.send(&ping).await.map(drop);
            silence.broken();
            if answer.is_err() {
                self.link.hurry();
            }
            answer
        })
    }
}

fn encoded(value: &Stored) -> Result<&[u8], BackendError> {
    match value {
        Stored::Encoded(entry) => Ok(&entry.bytes),
        Stored::Typed(_) => Err(BackendError::new(
            BackendErrorKind::Rejected,
            "Redis keeps bytes, not typed values",
        )),
    }
}

/// The entry in four parts: before and after the 8 bytes that the server overwrites with its time, the tag version, which it overwrites if that is
/// zero, and the rest. One too short for a stamp is stored as it is, and what is no entry has no tag version.
fn in_parts(entry: &[u8]) -> [&[u8]; 4] {
    if entry.len() < 16 {
        [b"", entry, b"", b""]
    } else if header::is_entry(entry) {
        [
            &entry[..8],
            &entry[16..SINCE.start],
            &entry[SINCE],
            &entry[SINCE.end..],
        ]
    } else {
        [&entry[..8], &entry[16..], b"", b""]
    }
}

fn millis(ttl: Duration) -> String {
    ttl.min(LONGEST_TTL).as_millis().max(1).to_string()
}

fn lease_millis(ttl: Duration) -> String {
    millis(ttl.min(LONGEST_LEASE))
}

/// The one answer to a question about one key.
fn only<T>(mut answers: Vec<T>) -> Result<T, BackendError> {
    answers.pop().ok_or_else(unexpected)
}

#[cold]
fn unexpected() -> BackendError {
    BackendError::new(
        BackendErrorKind::Rejected,
        "a script of the cache answered what it cannot answer",
    )
}
