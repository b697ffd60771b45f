//! From one backend to another, a share of the keys at a time.
//!
//! [`Gradual`] sends a share of the keys, chosen by their hash, to a new backend, and the others to the old one. The share is grown by hand or
//! [by steps](Plan), and goes back to nothing at once when the new backend is in trouble. The new backend fills as keys come to it, so the database sees a
//! part of the misses of a cold cache at a time, and never all of them.
//!
//! ```
//! use cache_runtime::backend::{Gradual, Memory};
//! use cache_runtime::{Cache, cached};
//!
//! #[cached(key = "square:<n>")]
//! async fn square(n: u64) -> u64 { n * n }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (old, new) = (Memory::new(), Memory::new());
//! # let settle = std::time::Duration::ZERO;
//! let (backend, rollout) = Gradual::builder(old, new).settle(settle).build()?;
//! let cache = Cache::builder().backend(backend).build().await?;
//! rollout.grow_to(0.25).await?;
//! cache.scope(async {
//!     for n in 0..100 { square(n).await; }
//! }).await;
//! let status = rollout.status();
//! assert_eq!(status.old.reads + status.new.reads, 100);
//! assert!(status.new.reads > 5);
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! No read is older than what the old backend alone would have given, while the share grows and shrinks, and in processes that have another share for a
//! moment. Every write and every invalidation reaches both backends before it returns, whatever the share. Where it does not reach the new one, the *permit* to use that one
//! is taken away before it returns: an entry of the old backend, which each read from the new one asks for at the same time, and which is given again only once the new backend
//! has been emptied. So a read costs one small read of the old backend as long as the roll-out lasts, and a new backend that fails costs hits and no truth: *if it comes back with all that it had taken, or empty*. One that comes back with data from
//! before, as a server that was restarted from a snapshot or a replica that was behind and took over, has forgotten invalidations that it had confirmed, and nobody can tell: then
//! [withdraw](Rollout::withdraw) and grow anew, which empties it. Until that is done a key can be read as it was at the time of those data, for the rest of its time.
//!
//! A new backend that fails or takes longer than its [patience](GradualBuilder::patience) is passed over: the call asks the old one. What fails in the old backend fails, as it would
//! without a new one.
//!
//! # How to go about it
//!
//! 1. Give **every** process the `Gradual` backend, without growing it. A process that knows the old backend alone does not tell the new one of its writes.
//! 2. Grow it, from any one of them; the others follow.
//! 3. At a share of 1, give every process the two backends exchanged (`Gradual::new(new, old)`), without growing that. They read the new one alone,
//!    and tell both. End all processes of the former kind before the first of this kind begins, and see that [the share](Rollout::status) is 1 still when they have
//!    ended: one that does not use its cache can tell. A share of 0 says that the new one has missed something: grow it anew first. See below for those who cannot do
//!    without an overlap.
//! 4. Give every process the new backend alone. Writes with a `version` that began before the roll-out must be over by then: the new backend knows of the
//!    versions since.
//!
//! # Processes of both kinds at once
//!
//! The permit is in the old backend, and processes with the two exchanged do not ask for it. So while some of each kind are there, in step 3, what *cannot be
//! delivered* is lost to the other kind: an invalidation or a write of a process of the former kind that does not reach the new backend ends the roll-out for its own kind
//! alone, and the exchanged ones go on with what the new one has; one of an exchanged process that does not reach the old backend is not known to the former ones when their keys
//! go back to it, or when the new one is too slow for a read of theirs. Each such key can be stale for the rest of its time (TTL and what it is kept for beyond that), and no longer; what is
//! delivered to both is seen by all. If that counts, [empty the cache](crate::Cache::bump_namespace) once no process of the former kind is left: then nothing from before is
//! read, at the cost of one cold start.
//!
//! Keys of write-behind writers cannot move, as pending values are the old backend's: name them with [`stays`](GradualBuilder::stays).

mod clocks;
mod leases;
mod log;
mod many;
mod permit;
mod plan;
mod reads;
mod rollout;
mod route;
mod sides;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

pub use self::plan::{Plan, RolloutReport, StepReport};
pub use self::rollout::{Rollout, RolloutError, RolloutStatus, SideStats};

use self::log::Staying;
use self::sides::{Sides, Stays};
use super::log::WriteLog;
use super::{
    Ask, Backend, BackendFuture, Fill, Format, HeldLease, Lease, LeaseMode, Stored, TagVersion,
    Token, Versions, WriteEnd,
};
use crate::error::ConfigError;
use crate::key::Key;

/// Two backends, of which the new one has a share of the keys. See the [module](self).
#[derive(Debug)]
pub struct Gradual {
    sides: Arc<Sides>,
    log: Option<Staying>,
}

/// Sets up a [`Gradual`] backend. Made by [`Gradual::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct GradualBuilder {
    old: Arc<dyn Backend>,
    new: Arc<dyn Backend>,
    patience: Duration,
    settle: Duration,
    stays: Option<Stays>,
}

impl fmt::Debug for GradualBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GradualBuilder")
            .field("old", &self.old)
            .field("new", &self.new)
            .finish_non_exhaustive()
    }
}

impl GradualBuilder {
    /// Sets how long an operation of the new backend may take before the old one is asked instead. Default 20 ms; with the question to the old backend it should be
    /// less than the cache's [operation timeout](crate::CacheBuilder::operation_timeout).
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Sets how long the new backend, once it is emptied, is left alone before it is used: a strict or write-through write that it was not told of must have been
    /// renewed by then, which says so. Default 5 s, half the time for which such writes are announced by default
    /// ([`CacheBuilder::intent_ttl`](crate::CacheBuilder::intent_ttl)); without such writers it can be zero.
    pub fn settle(mut self, time: Duration) -> Self {
        self.settle = time;
        self
    }

    /// Names the keys that never move, in each process alike: those of write-behind writers, whose pending values only the old backend has. A write to the log of any
    /// other key is refused.
    pub fn stays(mut self, keys: impl Fn(&Key) -> bool + Send + Sync + 'static) -> Self {
        self.stays = Some(Box::new(keys));
        self
    }

    /// Makes the backend, and what its share is grown with. All keys are the old backend's, unless a roll-out of the two is under way already.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if one of the two keeps values of this process and the other bytes, or this is called outside of a tokio runtime.
    pub fn build(self) -> Result<(Gradual, Rollout), ConfigError> {
        let place = "gradual roll-out";
        if self.old.format() != self.new.format() {
            let problem = "values of this process and bytes cannot be exchanged: both backends must be in this process, or neither";
            return Err(ConfigError::new(place, problem));
        }
        let Ok(runtime) = Handle::try_current() else {
            let problem = "must be built inside a tokio runtime, in which it looks for the share";
            return Err(ConfigError::new(place, problem));
        };
        let sides = Sides::new(self.old, self.new, self.patience, self.settle, self.stays);
        let sides = Arc::new(sides);
        sides.follow(&runtime);
        let log = sides.old.write_log().is_some();
        let backend = Gradual {
            log: log.then(|| Staying(sides.clone())),
            sides: sides.clone(),
        };
        Ok((backend, Rollout(sides)))
    }
}

impl Gradual {
    /// From `old` to `new`.
    ///
    /// # Errors
    ///
    /// As [`GradualBuilder::build`].
    pub fn new(old: impl Backend, new: impl Backend) -> Result<(Self, Rollout), ConfigError> {
        Self::builder(old, new).build()
    }

    /// From `old` to `new`, with other settings than the usual ones.
    pub fn builder(old: impl Backend, new: impl Backend) -> GradualBuilder {
        GradualBuilder {
            old: Arc::new(old),
            new: Arc::new(new),
            patience: Duration::from_millis(20),
            settle: Duration::from_secs(5),
            stays: None,
        }
    }
}

impl Backend for Gradual {
    fn format(&self) -> Format {
        self.sides.old.format()
    }

    fn name(&self) -> &'static str {
        "gradual"
    }

    fn get_now(&self, key: &Key) -> Option<Option<Stored>> {
        self.sides.get_now(key)
    }

    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>> {
        Box::pin(self.sides.get(key, &[]))
    }

    fn get_tagged<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
    ) -> BackendFuture<'a, Option<Stored>> {
        Box::pin(self.sides.get(key, tags))
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        Box::pin(self.sides.lease(key, tags, token, ttl, mode))
    }

    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool> {
        Box::pin(self.sides.renew(key, token, ttl))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        Box::pin(self.sides.fill(key, token, value, keep))
    }

    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()> {
        Box::pin(self.sides.release(key, token))
    }

    fn get_many<'a>(
        &'a self,
        keys: &'a [Key],
        tags: &'a [Key],
    ) -> BackendFuture<'a, Vec<Option<Stored>>> {
        Box::pin(self.sides.get_many(keys, tags))
    }

    fn lease_many<'a>(&'a self, asks: &'a [Ask], ttl: Duration) -> BackendFuture<'a, Vec<Lease>> {
        Box::pin(self.sides.lease_many(asks, ttl))
    }

    fn renew_many<'a>(
        &'a self,
        held: &'a [HeldLease],
        ttl: Duration,
    ) -> BackendFuture<'a, Vec<bool>> {
        Box::pin(self.sides.renew_many(held, ttl))
    }

    fn fill_many(&self, fills: Vec<Fill>) -> BackendFuture<'_, Vec<bool>> {
        Box::pin(self.sides.fill_many(fills))
    }

    fn release_many<'a>(&'a self, held: &'a [HeldLease]) -> BackendFuture<'a, ()> {
        Box::pin(self.sides.release_many(held))
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()> {
        Box::pin(self.sides.invalidate(keys))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Stored, keep: Duration) -> BackendFuture<'a, bool> {
        Box::pin(self.sides.put(key, value, keep))
    }

    fn begin_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, TagVersion> {
        Box::pin(self.sides.begin_write(key, token, ttl))
    }

    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        Box::pin(self.sides.renew_write(key, token, ttl))
    }

    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd> {
        Box::pin(self.sides.end_write(key, token, value))
    }

    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        Box::pin(self.sides.put_if_newer(key, version, value, keep))
    }

    fn versions<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, Versions> {
        Box::pin(self.sides.versions(tags))
    }

    fn invalidate_tags<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, ()> {
        Box::pin(self.sides.invalidate_tags(tags))
    }

    fn bump_namespace(&self) -> BackendFuture<'_, ()> {
        Box::pin(self.sides.bump_namespace())
    }

    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()> {
        Box::pin(self.sides.wait(key, token, patience))
    }

    fn clear(&self) -> BackendFuture<'_, ()> {
        Box::pin(self.sides.clear())
    }

    fn ping(&self) -> BackendFuture<'_, ()> {
        Box::pin(self.sides.ping())
    }

    fn write_log(&self) -> Option<&dyn WriteLog> {
        let log = self.log.as_ref()?;
        Some(log)
    }
}
