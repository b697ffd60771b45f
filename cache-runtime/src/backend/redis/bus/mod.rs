//! The bus on Redis: one stream, a consumer group for each region, and Lua.
//!
//! `lua/bus/bus.lua` tells which keys there are.

mod entries;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};

use super::builder::RedisBuilder;
use super::link::Link;
use super::names::{Name, Names};
use super::scripts::{self, Call, Script};
use super::url::Target;
use super::{LONGEST_TTL, lease_millis, millis, reply, unexpected};
use crate::backend::{BackendFuture, Token};
use crate::bus::{Backlog, Bus, Delivered, Event, Group, Position, Published, Read, Retention};
use crate::error::{BackendError, ConfigError, Error};

/// So many events of a group's backlog are counted where the server does not do that itself.
const MOST_COUNTED: &str = "1000";

/// A connection is left after so many questions in a row without an answer: each of them has been waited for long.
const SILENCES: u32 = 3;

/// An answer that does not come for so long, beyond the time that the bus was told to wait, does not come. Shorter than the patience of those who ask.
const UNHEARD: Duration = Duration::from_secs(1);

/// Carries events between regions on a stream of a Redis server, version 6.2 or newer.
///
/// The server is another than those of the regions, or one of them; what it loses the cache finds out and makes up for by flushing. To keep such flushes rare give
/// it an append-only file, and `maxmemory-policy noeviction`. It has two connections for each process: one that waits for events, and one for everything else.
///
/// A user of an access control list needs the commands `HELLO`, `SELECT`, `PING`, `TIME`, `EVAL`, `EVALSHA`, `GET`, `SET`, `EXISTS`, `UNLINK`, `HGET`, `HSET`, `HDEL`, `XADD`,
/// `XREADGROUP`, `XACK`, `XAUTOCLAIM`, `XGROUP`, `XINFO`, `XPENDING`, `XRANGE`, `XLEN` and `XTRIM`, and keys `{<namespace>/bus}*`. Nobody else is to trim the stream.
///
/// Clones of it share its connections. They belong to the tokio runtime that [`connect`](RedisBusBuilder::connect) was called in.
///
/// ```no_run
/// use cache_runtime::{Cache, bus::RedisBus};
///
/// # async fn example() -> Result<(), cache_runtime::Error> {
/// let bus = RedisBus::from_url("redis://bus.example:6379/")?.namespace("shop").connect().await?;
/// let cache = Cache::builder().url("redis://127.0.0.1/")?.namespace("shop").bus(bus, "eu-1")?.build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisBus {
    /// Waits for events: whatever else went over it would wait too.
    reading: Arc<Link>,
    link: Arc<Link>,
    names: Arc<Names>,
    namespace: Arc<str>,
}

/// Sets up a [`RedisBus`]. Made by [`RedisBus::from_url`].
#[derive(Debug, Clone)]
#[must_use = "call `connect`"]
pub struct RedisBusBuilder(RedisBuilder);

impl RedisBusBuilder {
    /// The regions of one application have one namespace: they share the events. It is that of their caches, too. Default `cache`.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        Self(self.0.namespace(namespace))
    }

    /// How long one attempt to connect may take, name lookup and login included. Default 1 s.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self(self.0.connect_timeout(timeout))
    }

    /// Trusts only this certificate authority, in PEM form, for `rediss://`. Without it those of the system are trusted.
    ///
    /// Needs the cargo feature `tls`.
    pub fn tls_root_ca(self, pem: impl Into<Vec<u8>>) -> Self {
        Self(self.0.tls_root_ca(pem))
    }

    /// Connects, or where the server cannot be reached begins to try in the background.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the settings cannot be used, never because the server is away.
    pub async fn connect(self) -> Result<RedisBus, Error> {
        let namespace = Arc::from(self.0.namespace_name());
        let names = Arc::new(Names::new(self.0.namespace_name()));
        let link = Link::open(self.0.clone().plan()?).await;
        let reading = Link::open(self.0.plan()?).await;
        Ok(RedisBus {
            reading,
            link,
            names,
            namespace,
        })
    }
}

impl RedisBus {
    /// Reads a URL and gives the builder of a bus on that server. The URL is as that of a [backend](super::Redis::from_url).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the part that is wrong; it never holds a user or password.
    pub fn from_url(url: &str) -> Result<RedisBusBuilder, ConfigError> {
        let target = Target::parse(url)?;
        Ok(RedisBusBuilder(RedisBuilder::new(target)))
    }

    async fn run(&self, script: &Script, args: &[&[u8]]) -> Result<Value, BackendError> {
        let call = Call::<Name<'_>> {
            entries: &[],
            shared: &[self.names.bus().as_bytes()],
            own: args,
        };
        heard(&self.link, Duration::ZERO, self.link.run(script, call)).await
    }

    async fn publish(
        &self,
        sender: Token,
        number: u64,
        events: &[Event],
    ) -> Result<Published, BackendError> {
        let (sender, number) = (sender.to_string(), number.to_string());
        let events: Vec<_> = events.iter().map(Event::to_bytes).collect();
        let mut args = vec![sender.as_bytes(), number.as_bytes()];
        args.extend(events.iter().map(Vec::as_slice));
        match self.run(&scripts::PUBLISH, &args).await? {
            Value::Int(1) => Ok(Published::Done),
            Value::Int(0) => Ok(Published::Forgotten),
            _ => Err(unexpected()),
        }
    }

    async fn join(&self, group: &Group) -> Result<Option<Token>, BackendError> {
        let flush = Token::fresh().to_string();
        let args = [group.as_str().as_bytes(), flush.as_bytes()];
        let owed = self.run(&scripts::JOIN, &args).await?;
        if owed == Value::Nil {
            return Ok(None);
        }
        // What is no name of ours cannot be told to be done: it is done at every join then, until somebody removes it.
        let token = reply::text(owed).as_deref().and_then(Token::parse);
        Ok(Some(token.unwrap_or_else(Token::fresh)))
    }

    async fn read(
        &self,
        group: &Group,
        process: Token,
        read: Read,
        most: usize,
        wait: Duration,
    ) -> Result<Option<Vec<Delivered>>, BackendError> {
        let mut command = Cmd::with_capacity(11, 192);
        command
            .arg("XREADGROUP")
            .arg("GROUP")
            .arg(group.as_str())
            .arg(process.to_string())
            .arg("COUNT")
            .arg(most);
        // To the server none is for ever.
        if read == Read::New && !wait.is_zero() {
            command.arg("BLOCK").arg(millis(wait));
        }
        let from = match read {
            Read::New => ">",
            Read::Again => "0",
        };
        command.arg("STREAMS").arg(self.names.bus()).arg(from);
        let reply = heard(&self.reading, wait, self.reading.send_raw(&command)).await?;
        if entries::is_no_group(&reply) {
            return Ok(None);
        }
        let reply = self.reading.accept(reply)?;
        let Some((_, found)) = reply::pairs(reply).into_iter().next() else {
            return Ok(Some(Vec::new()));
        };
        // Over the other connection: an answer that has to wait for events is no measure of the time.
        let now = heard(&self.link, Duration::ZERO, self.link.time()).await?;
        Ok(Some(entries::delivered(found, now)))
    }

    async fn claim(
        &self,
        group: &Group,
        process: Token,
        idle: Duration,
        most: usize,
    ) -> Result<Vec<Delivered>, BackendError> {
        let (mut claimed, mut from) = (Vec::new(), "0-0".to_owned());
        loop {
            let mut command = Cmd::with_capacity(8, 192);
            command
                .arg("XAUTOCLAIM")
                .arg(self.names.bus())
                .arg(group.as_str())
                .arg(process.to_string())
                .arg(idle.min(LONGEST_TTL).as_millis().to_string())
                .arg(&from)
                .arg("COUNT")
                .arg(most);
            let read = self.link.read(&command);
            let (reply, now) = heard(&self.link, Duration::ZERO, read).await?;
            if entries::is_no_group(&reply) {
                return Ok(claimed);
            }
            let mut parts = reply::array(self.link.accept(reply)?).into_iter();
            let next = parts.next().and_then(reply::text).ok_or_else(unexpected)?;
            claimed.extend(entries::delivered(parts.next().unwrap_or(Value::Nil), now));
            // Those that somebody removed from the stream: the server has taken them off the list, and they are lost unless they are told of now.
            let gone = reply::array(parts.next().unwrap_or(Value::Nil));
            claimed.extend(gone.into_iter().filter_map(entries::unreadable));
            // It looks at a limited number of events at a time.
            if next == "0-0" || claimed.len() >= most {
                return Ok(claimed);
            }
            from = next;
        }
    }

    async fn acknowledge(&self, group: &Group, positions: &[Position]) -> Result<(), BackendError> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut command = Cmd::with_capacity(3 + positions.len(), 64 + 48 * positions.len());
        command
            .arg("XACK")
            .arg(self.names.bus())
            .arg(group.as_str());
        for position in positions {
            command.arg(entries::id_of(*position));
        }
        let sent = self.link.send(&command);
        heard(&self.link, Duration::ZERO, sent).await.map(drop)
    }

    async fn trim(&self, retention: Retention) -> Result<Vec<String>, BackendError> {
        let args = [
            millis(retention.age),
            retention.events.to_string(),
            millis(retention.silence),
            lease_millis(retention.every),
        ];
        let args = args.each_ref().map(String::as_bytes);
        let lost = reply::array(self.run(&scripts::TRIM, &args).await?);
        Ok(lost.into_iter().filter_map(reply::text).collect())
    }

    async fn backlog(&self, group: &Group) -> Result<Option<Backlog>, BackendError> {
        let args = [group.as_str().as_bytes(), MOST_COUNTED.as_bytes()];
        let numbers = reply::array(self.run(&scripts::BACKLOG, &args).await?);
        let mut numbers = numbers.into_iter().map_while(reply::number);
        let (Some(events), Some(oldest)) = (numbers.next(), numbers.next()) else {
            return Ok(None);
        };
        Ok(Some(Backlog {
            events,
            oldest: Duration::from_millis(oldest),
        }))
    }

    async fn leave(&self, group: &Group, process: Token) -> Result<(), BackendError> {
        let process = process.to_string();
        let alone: &[u8] = if group.is_of_process() { b"1" } else { b"0" };
        let args = [group.as_str().as_bytes(), process.as_bytes(), alone];
        self.run(&scripts::LEAVE, &args).await.map(drop)
    }
}

/// Waits for the answer, and has the link left when too many do not come: whoever asks gives them up and asks again, and nobody pings.
async fn heard<T>(
    link: &Arc<Link>,
    wait: Duration,
    answer: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    let silence = link.listen(SILENCES, wait.saturating_add(UNHEARD));
    let answer = answer.await;
    silence.broken();
    answer
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus")
            .field("name", &self.names.bus())
            .field("link", &self.link)
            .finish()
    }
}

impl Bus for RedisBus {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn namespace(&self) -> Option<&str> {
        Some(&self.namespace)
    }

    fn publish<'a>(
        &'a self,
        sender: Token,
        number: u64,
        events: &'a [Event],
    ) -> BackendFuture<'a, Published> {
        Box::pin(self.publish(sender, number, events))
    }

    fn join<'a>(&'a self, group: &'a Group) -> BackendFuture<'a, Option<Token>> {
        Box::pin(self.join(group))
    }

    fn flushed<'a>(&'a self, group: &'a Group, flush: Token) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            let flush = flush.to_string();
            let args = [group.as_str().as_bytes(), flush.as_bytes()];
            self.run(&scripts::FLUSHED, &args).await.map(drop)
        })
    }

    fn read<'a>(
        &'a self,
        group: &'a Group,
        process: Token,
        read: Read,
        most: usize,
        wait: Duration,
    ) -> BackendFuture<'a, Option<Vec<Delivered>>> {
        Box::pin(self.read(group, process, read, most, wait))
    }

    fn claim<'a>(
        &'a self,
        group: &'a Group,
        process: Token,
        idle: Duration,
        most: usize,
    ) -> BackendFuture<'a, Vec<Delivered>> {
        Box::pin(self.claim(group, process, idle, most))
    }

    fn acknowledge<'a>(
        &'a self,
        group: &'a Group,
        positions: &'a [Position],
    ) -> BackendFuture<'a, ()> {
        Box::pin(self.acknowledge(group, positions))
    }

    fn trim(&self, retention: Retention) -> BackendFuture<'_, Vec<String>> {
        Box::pin(self.trim(retention))
    }

    fn backlog<'a>(&'a self, group: &'a Group) -> BackendFuture<'a, Option<Backlog>> {
        Box::pin(self.backlog(group))
    }

    fn leave<'a>(&'a self, group: &'a Group, process: Token) -> BackendFuture<'a, ()> {
        Box::pin(self.leave(group, process))
    }
}
