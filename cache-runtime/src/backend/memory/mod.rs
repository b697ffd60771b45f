//! The in-process backend: typed values in a quick_cache, leases and intents in a table beside it, and a log of writes.

mod bounds;
mod change;
mod log;
mod pending;
mod slot;
mod state;
mod tags;

use std::fmt;
use std::time::Duration;

use quick_cache::{DefaultHashBuilder, OptionsBuilder};
use smallvec::SmallVec;

use self::bounds::{SlotWeight, Weigher};
use self::change::{Change, Evictions, Leftover};
use self::log::Log;
use self::slot::Slot;
use self::state::Table;
use super::log::WriteLog;
use super::{
    Backend, BackendFuture, Format, Lease, LeaseMode, Stored, TagVersion, Token, Typed, Versions,
    WriteEnd,
};
use crate::clock::Clock;
use crate::error::{BackendError, BackendErrorKind, ConfigError};
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::sync::QuickCache;

pub use self::bounds::MemoryBuilder;

/// A stored key. Short ones lie in the table itself, so that comparing one costs no further cache miss.
type Name = SmallVec<[u8; 24]>;

type Values = QuickCache<Name, Slot, SlotWeight, DefaultHashBuilder, Evictions>;

/// Keeps values in this process, typed and shared, bounded by count or by weight.
///
/// A hit is one lookup: nothing is decoded and nothing allocated. Expired values are removed when they are read and otherwise
/// leave by eviction, so the bound holds and the TTL is exact.
///
/// ```
/// use cache_runtime::{Cache, backend::Memory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cache_runtime::Error> {
/// let cache = Cache::builder().backend(Memory::builder().max_entries(50_000).build()?).build().await?;
/// # Ok(())
/// # }
/// ```
pub struct Memory {
    values: Values,
    table: Table,
    tags: tags::Table,
    log: Log,
    weigher: Weigher,
    clock: Clock,
}

impl Memory {
    /// A backend of 100,000 entries on the system clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(
            MemoryBuilder::DEFAULT_ENTRIES,
            MemoryBuilder::DEFAULT_ENTRIES as u64,
            Weigher::Count,
            Clock::system(),
        )
    }

    /// Sets bounds and clock.
    #[must_use]
    pub fn builder() -> MemoryBuilder {
        MemoryBuilder::default()
    }

    fn from_builder(builder: MemoryBuilder) -> Result<Self, ConfigError> {
        let (entries, capacity, weigher, clock) = builder.into_parts()?;
        Ok(Self::with(entries, capacity, weigher, clock))
    }

    fn with(entries: usize, capacity: u64, weigher: Weigher, clock: Clock) -> Self {
        // Few shards for a small bound: split over many, an uneven spread of the keys would evict early, and a value heavier than its
        // shard's part of a weight would not be kept at all.
        let shards = match weigher {
            Weigher::Count => (capacity / 1024).clamp(1, 64) as usize,
            Weigher::Shallow | Weigher::Custom(_) => (capacity >> 26).clamp(1, 16) as usize,
        };
        // Each shard's part is rounded up: only a bound that falls into even parts is kept by all together.
        let shards = shards.next_power_of_two();
        let capacity = capacity - capacity % shards as u64;
        let mut options = OptionsBuilder::new();
        options
            .estimated_items_capacity(entries)
            .weight_capacity(capacity)
            .shards(shards);
        let values = match options.build() {
            Ok(options) => Values::with_options(
                options,
                SlotWeight,
                DefaultHashBuilder::default(),
                Evictions,
            ),
            Err(_) => Values::with(
                entries,
                capacity,
                SlotWeight,
                DefaultHashBuilder::default(),
                Evictions,
            ),
        };
        Self {
            values,
            table: Table::new(),
            tags: tags::Table::new(),
            log: Log::default(),
            weigher,
            clock,
        }
    }

    /// How many values it holds, expired ones included until they are read or evicted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it holds no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The weight of what it holds: the number of entries, or the sum of their weights where it is bounded by weight.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.values.weight()
    }

    #[inline]
    fn live(&self, key: &Key) -> Option<Typed> {
        let slot = self.values.get(key.as_bytes())?;
        let now = self.clock.now_about(slot.fresh_until());
        if now < slot.kept_until() && self.tags.is_good(&slot.since) {
            return Some(slot.into_typed(now));
        }
        self.remove_old(key);
        None
    }

    #[cold]
    fn remove_old(&self, key: &Key) {
        // Looked at again under the lock: a new value may have come meanwhile.
        self.values.remove_if(key.as_bytes(), |slot| {
            self.clock.now() >= slot.kept_until() || !self.tags.is_good(&slot.since)
        });
    }

    #[inline]
    fn lookup(&self, key: &Key) -> Option<Stored> {
        self.live(key).map(Stored::Typed)
    }

    /// Runs `change` on the key's state under its shard's lock. Values that it takes out or that are evicted are dropped after the
    /// lock is given back: a value's `Drop` is a user's code and may come back here.
    fn on<T>(&self, key: &Key, change: impl FnOnce(&mut Change<'_>) -> T) -> T {
        self.on_leaving(key, &mut Leftover::default(), change)
    }

    /// [`on`](Self::on) for a caller who holds another lock: what is left over is the caller's to drop after that one.
    fn on_leaving<T>(
        &self,
        key: &Key,
        leftover: &mut Leftover,
        change: impl FnOnce(&mut Change<'_>) -> T,
    ) -> T {
        let mut shard = self.table.shard(key);
        change(&mut Change {
            memory: self,
            key,
            now: self.clock.now(),
            shard: &mut shard,
            leftover,
        })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("entries", &self.len())
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}

fn ready<'a, T: Send + 'a>(answer: T) -> BackendFuture<'a, T> {
    Box::pin(std::future::ready(Ok(answer)))
}

fn typed(value: Stored) -> Result<Typed, BackendError> {
    match value {
        Stored::Typed(typed) => Ok(typed),
        Stored::Encoded(_) => Err(BackendError::new(
            BackendErrorKind::Rejected,
            "the in-memory backend takes typed values, not bytes",
        )),
    }
}

impl Backend for Memory {
    fn format(&self) -> Format {
        Format::Typed
    }

    fn name(&self) -> &'static str {
        "memory"
    }

    #[inline]
    fn get_now(&self, key: &Key) -> Option<Option<Stored>> {
        Some(self.lookup(key))
    }

    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>> {
        ready(self.lookup(key))
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        ready(self.on(key, |at| {
            if let Some(pending) = at.answer_pending() {
                return Lease::Hit(pending);
            }
            if mode != LeaseMode::Refresh
                && let Some(stored) = at.lookup()
            {
                if mode != LeaseMode::IfStill(stored.mark()) {
                    return Lease::Hit(stored);
                }
                at.keep_for_later(stored);
            }
            let versions = self.tags.versions(tags);
            let (now, state) = (at.now, at.shard.state(key, at.now));
            if let Some(generation) = state.write_in_progress(now)
                && !mutants::on(Mutant::MemoryLeaseBesideIntent)
            {
                return Lease::Bypass(generation, versions);
            }
            match state.lease(now) {
                Some(holder) => Lease::Busy(holder, versions),
                None => {
                    state.grant(token, now.after(ttl));
                    Lease::Granted(versions)
                }
            }
        }))
    }

    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool> {
        ready(self.on(key, |at| {
            let (now, state) = (at.now, at.shard.existing(key));
            state.is_some_and(|state| {
                let stands = state.lease(now) == Some(token);
                if stands {
                    state.grant(token, now.after(ttl));
                }
                stands
            })
        }))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        let value = match typed(value) {
            Ok(value) => value,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        ready(self.on(key, |at| {
            let now = at.now;
            // No lease stands on a key that has a pending value, so nothing is stored over one.
            let stands = at
                .shard
                .existing(key)
                .is_some_and(|state| state.lease(now) == Some(token));
            if !stands && !mutants::on(Mutant::MemoryFillWithoutLease) {
                at.refuse(value);
                return false;
            }
            let stored = at.store(value, keep);
            at.shard.end_lease(key, now);
            stored
        }))
    }

    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()> {
        self.on(key, |at| {
            let now = at.now;
            if at
                .shard
                .existing(key)
                .is_some_and(|state| state.lease(now) == Some(token))
                && !mutants::on(Mutant::MemoryReleaseIgnored)
            {
                at.shard.end_lease(key, now);
            }
        });
        ready(())
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()> {
        for key in keys {
            self.on(key, |at| {
                at.remove_value();
                if let Some(state) = at.shard.existing(key) {
                    if !mutants::on(Mutant::MemoryInvalidationMarksNoWrite) {
                        state.overlap();
                    }
                    state.dispute();
                }
                if !mutants::on(Mutant::MemoryInvalidationKeepsLease) {
                    at.shard.end_lease(key, at.now);
                }
            });
        }
        ready(())
    }

    fn put<'a>(&'a self, key: &'a Key, value: Stored, keep: Duration) -> BackendFuture<'a, bool> {
        let value = match typed(value) {
            Ok(value) => value,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        ready(self.on(key, |at| {
            let now = at.now;
            if let Some(state) = at.shard.existing(key)
                && (state.is_pending() || state.write_in_progress(now).is_some())
            {
                state.dispute();
                at.refuse(value);
                return false;
            }
            let stored = at.store(value, keep);
            if !stored {
                at.remove_value();
            }
            at.shard.end_lease(key, now);
            stored
        }))
    }

    fn begin_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, TagVersion> {
        self.on(key, |at| {
            at.remove_value();
            at.shard.end_lease(key, at.now);
            at.shard
                .state(key, at.now)
                .begin_write(token, at.now, at.now.after(ttl));
        });
        ready(self.tags.now())
    }

    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        ready(self.on(key, |at| {
            let now = at.now;
            at.shard
                .existing(key)
                .is_some_and(|state| state.renew_write(token, now, now.after(ttl)))
        }))
    }

    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd> {
        let value = match value
            .map(|(stored, keep)| typed(stored).map(|value| (value, keep)))
            .transpose()
        {
            Ok(value) => value,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        ready(self.on(key, |at| {
            let now = at.now;
            let end = at
                .shard
                .existing(key)
                .map_or(WriteEnd::Overlapped, |state| {
                    state.dispute();
                    state.end_write(token, now)
                });
            at.remove_value();
            at.shard.end_lease(key, now);
            match (end, value) {
                (WriteEnd::Clean, Some((value, keep))) => {
                    if at.store(value, keep) {
                        WriteEnd::Clean
                    } else {
                        WriteEnd::Overlapped
                    }
                }
                (end, value) => {
                    if let Some((value, _)) = value {
                        at.refuse(value);
                    }
                    end
                }
            }
        }))
    }

    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        let value = match typed(value) {
            Ok(value) => value,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        ready(self.on(key, |at| {
            let now = at.now;
            let state = at.shard.state(key, now);
            state.dispute();
            let (newer, stores) = (state.raise_fence(version, now, keep), !state.is_pending());
            if newer {
                state.overlap();
            }
            let stored = if newer && stores {
                let stored = at.store(value, keep);
                if !stored {
                    at.remove_value();
                }
                stored
            } else {
                at.refuse(value);
                false
            };
            at.shard.end_lease(key, now);
            stored
        }))
    }

    fn versions<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, Versions> {
        ready(self.tags.versions(tags))
    }

    fn invalidate_tags<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, ()> {
        self.tags.invalidate(tags);
        ready(())
    }

    fn bump_namespace(&self) -> BackendFuture<'_, ()> {
        self.tags.bump();
        ready(())
    }

    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            let waiting = self.on(key, |at| {
                let now = at.now;
                let state = at.shard.existing(key)?;
                let until = now.after(state.lease_left(now).min(patience));
                (state.lease(now) == Some(token)).then(|| (state.waiter(), until))
            });
            let Some((ended, until)) = waiting else {
                return Ok(());
            };
            let ended = std::pin::pin!(ended);
            // The lease's own expiry is the backstop: its holder may be gone without a word.
            let expiry = std::pin::pin!(self.clock.sleep_until(until));
            crate::race::first(ended, expiry).await;
            Ok(())
        })
    }

    fn clear(&self) -> BackendFuture<'_, ()> {
        self.table.clear();
        // Not `clear`: that drops the values, which are a user's code, under a lock.
        drop(self.values.drain().collect::<Vec<_>>());
        ready(())
    }

    fn ping(&self) -> BackendFuture<'_, ()> {
        ready(())
    }

    fn write_log(&self) -> Option<&dyn WriteLog> {
        Some(self)
    }
}
