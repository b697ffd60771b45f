//! Where entries live: the contract between the cache and its store.
//!
//! A backend keeps for each key, in one place and changed atomically, a **value**, a **read lease**, **write intents** and a
//! **fence**, and beside the keys the **versions of tags**. [`Memory`] and [`Redis`](redis::Redis) are the two that come with the crate; your own implements [`Backend`]
//! and runs the cases of the conformance suite (`testing::conformance`, feature `testing`) to show that it keeps the contract.

pub mod gradual;
pub mod log;
mod memory;
#[cfg(feature = "redis")]
pub mod redis;
mod shared;
pub(crate) mod stored;
mod tags;
mod token;

pub use gradual::{Gradual, GradualBuilder};
pub use memory::{Memory, MemoryBuilder};
pub use stored::{Encoded, Life, Mark, SharedValue, Stored, Typed};
pub use tags::{Basis, MAX_TAGS, TagVersion, Tags, Versions};
pub use token::Token;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::Key;
use crate::error::BackendError;

/// What every operation of a backend returns.
pub type BackendFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>;

/// In which form a backend keeps values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As typed values, shared by reference and never encoded: [`Stored::Typed`].
    Typed,
    /// As bytes that another process can read: [`Stored::Encoded`].
    Encoded,
}

/// What [`Backend::lease`] answers.
#[derive(Debug, Clone)]
pub enum Lease {
    /// The value came meanwhile.
    Hit(Stored),
    /// The lease is yours, under the token that you gave: load, then [`fill`](Backend::fill) or [`release`](Backend::release). What is loaded is
    /// from after [`now`](Versions::now).
    Granted(Versions),
    /// Another load holds the lease, under this token.
    Busy(Token, Versions),
    /// A write is in progress: load, but do not store. The token names the state of writes; every begin and end of a write, and
    /// every invalidation beside one, makes a new one.
    Bypass(Token, Versions),
}

/// When [`Backend::lease`] grants a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseMode {
    /// Only where there is no value.
    IfMissing,
    /// Also where the value is still the one of this mark, to replace it; answers [`Lease::Hit`] to another one.
    IfStill(Mark),
    /// Also where there is any: never answers [`Lease::Hit`].
    Refresh,
}

/// One of many questions for a lease: [`Backend::lease_many`].
#[derive(Debug, Clone)]
pub struct Ask {
    /// The key.
    pub key: Key,
    /// The tags that the value will have, as far as they are known.
    pub tags: Tags,
    /// The token that the lease is to have.
    pub token: Token,
    /// When it is to be granted.
    pub mode: LeaseMode,
}

/// One of many values to be stored under a lease: [`Backend::fill_many`].
#[derive(Debug, Clone)]
pub struct Fill {
    /// The key.
    pub key: Key,
    /// The token of the lease.
    pub token: Token,
    /// The value.
    pub value: Stored,
    /// How long it is kept.
    pub keep: Duration,
}

/// A lease by its key and token, of many: [`Backend::renew_many`] and [`Backend::release_many`].
pub type HeldLease = (Key, Token);

/// What [`Backend::end_write`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteEnd {
    /// The intent still stood and no other write overlapped: the value, if one was given, is stored.
    Clean,
    /// Another write overlapped, or the intent had expired, or a tag of the value was invalidated meanwhile: nothing is stored.
    Overlapped,
}

/// A store of entries, leases, intents and fences.
///
/// # Contract
///
/// * Each operation on a key is atomic: no other operation on that key is seen between its parts.
/// * An operation that has returned `Ok` is seen by every operation on that key that begins later, in any process.
/// * Time is the backend's own monotonic or server clock; a caller's clock is never compared with it.
/// * A lease or an intent that is not renewed ends by itself at its expiry; each intent has its own.
/// * Tokens are unique; a token that is not the one in place changes nothing.
/// * A value is good as long as it is from after the last invalidation of each of its tags and the last bump of the namespace: it is given to nobody
///   any more from the moment that such an invalidation has returned, and one from before it is not stored. Where a version was lost, as by eviction, what
///   depends on it is no longer good.
/// * Operations need not return by themselves when the store hangs: the caller bounds them in time and drops them. A dropped operation
///   may or may not have taken effect.
/// * No operation panics on what it finds in the store; what it cannot read is a miss.
// `tests/model/src/backend.rs` has the operations of one key again, as a model in which every order of them is checked, with callers and writers around
// them: who changes what one of them does changes it there too. `tests/as_modelled.rs` compares the two.
pub trait Backend: Send + Sync + fmt::Debug + 'static {
    /// The form of the values that it takes and gives.
    fn format(&self) -> Format;

    /// A short name for statistics and logs, without secrets.
    fn name(&self) -> &'static str;

    /// The value, where that needs neither waiting nor allocation; `None` where it does and [`get`](Self::get) is to be asked.
    /// A store in this process answers here, and then a hit costs no more than the lookup.
    fn get_now(&self, key: &Key) -> Option<Option<Stored>> {
        let _ = key;
        None
    }

    /// The value, if there is one that is still kept, with its age. One may be kept for longer than its TTL, to be served when its load
    /// fails: the caller judges. One that is good no more, by its tags, is not given.
    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>>;

    /// [`get`](Self::get) by one who knows tags that the value is likely to have, for a store that has to look them up: it looks at both at once.
    fn get_tagged<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
    ) -> BackendFuture<'a, Option<Stored>> {
        let _ = tags;
        self.get(key)
    }

    /// Asks for the right to load. Whoever cannot use the value that this would answer with asks in [`LeaseMode::IfStill`]. `tags` are those
    /// that are known of what is to be loaded.
    ///
    /// In this order: [`Hit`](Lease::Hit) if there is a value that the mode does not pass over;
    /// [`Bypass`](Lease::Bypass) while an intent lives; [`Busy`](Lease::Busy) while another lease lives; else
    /// [`Granted`](Lease::Granted), and the lease under `token` lives for `ttl` or until it is renewed, filled, released or invalidated.
    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease>;

    /// Extends the lease to `ttl` from now. `false` if it no longer stands.
    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool>;

    /// Stores the value, keeps it for `keep` and ends the lease, if the lease still stands: `true`. Else stores nothing: `false`. Nor does it store a
    /// value that is from before an invalidation of one of its tags; the lease ends all the same.
    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool>;

    /// Gives the lease up.
    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()>;

    /// [`get_tagged`](Self::get_tagged) of many keys, in their order; not as one atomic step. One after another, unless the store knows better.
    fn get_many<'a>(
        &'a self,
        keys: &'a [Key],
        tags: &'a [Key],
    ) -> BackendFuture<'a, Vec<Option<Stored>>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                found.push(self.get_tagged(key, tags).await?);
            }
            Ok(found)
        })
    }

    /// [`lease`](Self::lease) of many keys, each by itself, the answers in their order. After an error any of them may have been granted.
    fn lease_many<'a>(&'a self, asks: &'a [Ask], ttl: Duration) -> BackendFuture<'a, Vec<Lease>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(asks.len());
            for ask in asks {
                let (tags, token) = (ask.tags.as_slice(), ask.token);
                answers.push(self.lease(&ask.key, tags, token, ttl, ask.mode).await?);
            }
            Ok(answers)
        })
    }

    /// [`renew`](Self::renew) of many leases, the answers in their order.
    fn renew_many<'a>(
        &'a self,
        held: &'a [HeldLease],
        ttl: Duration,
    ) -> BackendFuture<'a, Vec<bool>> {
        Box::pin(async move {
            let mut stand = Vec::with_capacity(held.len());
            for (key, token) in held {
                stand.push(self.renew(key, *token, ttl).await?);
            }
            Ok(stand)
        })
    }

    /// [`fill`](Self::fill) of many keys, each under its own lease, the answers in their order: a lease that was lost costs its own value
    /// alone. After an error any of them may have been stored.
    fn fill_many(&self, fills: Vec<Fill>) -> BackendFuture<'_, Vec<bool>> {
        Box::pin(async move {
            let mut stored = Vec::with_capacity(fills.len());
            for fill in fills {
                let Fill {
                    key,
                    token,
                    value,
                    keep,
                } = fill;
                stored.push(self.fill(&key, token, value, keep).await?);
            }
            Ok(stored)
        })
    }

    /// [`release`](Self::release) of many leases.
    fn release_many<'a>(&'a self, held: &'a [HeldLease]) -> BackendFuture<'a, ()> {
        Box::pin(async move {
            for (key, token) in held {
                self.release(key, *token).await?;
            }
            Ok(())
        })
    }

    /// Removes values and leases, and marks every write in progress as overlapping: its value may be from before this. The keys
    /// may be treated one after another, not as one atomic step.
    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()>;

    /// Stores the value and keeps it for `keep`, whatever was there, ending any lease, unless an intent lives: then it is not stored, and
    /// the answer is `false`. So it is with a value from before an invalidation of one of its tags, and what was there is removed.
    fn put<'a>(&'a self, key: &'a Key, value: Stored, keep: Duration) -> BackendFuture<'a, bool>;

    /// Announces a write: adds an intent that lives for `ttl`, removes value and lease, and marks this write and any other in
    /// progress as overlapping. Answers what the clock of the tags says.
    fn begin_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, TagVersion>;

    /// Extends the intent to `ttl` from now. `false` if it no longer stands.
    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool>;

    /// Ends a write: removes intent, value and lease; stores the given value, to be kept for the given time, only if the intent still stood and no
    /// other write overlapped, and the value is not from before an invalidation of one of its tags. If the intent no longer stood, marks every other write
    /// in progress as overlapping.
    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd>;

    /// Stores the value and keeps it for `keep`, if `version` is greater than the fence, which then becomes `version`: `true`. A store marks every
    /// write in progress as overlapping. Ends any lease, whatever the answer. The fence outlives the value by at least a day. A value from before an
    /// invalidation of one of its tags raises the fence and is not stored: `false`, and what was there is removed.
    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool>;

    /// What the clock of the tags says, and the last invalidation of these.
    fn versions<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, Versions>;

    /// Makes every value that has one of these tags good no more, and what is loaded or written now with one of them too: in one step for each tag,
    /// whatever the number of values. The tags may be treated one after another.
    fn invalidate_tags<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, ()>;

    /// Makes every value of the namespace good no more, and what is loaded now or announced as a write too, in one step. Fences and intents stay. A value
    /// that is put, or stored by its version, is as new as its store unless it tells otherwise.
    fn bump_namespace(&self) -> BackendFuture<'_, ()>;

    /// Returns when the lease under `token` no longer stands on the key; may return earlier, and returns after `patience` at
    /// the latest. The caller asks again. Woken by notification where the store has one.
    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()>;

    /// Does to every key of this backend's namespace what [`invalidate`](Self::invalidate) does, and so gives its room back, which
    /// [`bump_namespace`](Self::bump_namespace) leaves to eviction and expiry. Fences and the intents of writes in progress
    /// stay: they keep older values out.
    fn clear(&self) -> BackendFuture<'_, ()>;

    /// Returns `Ok` if the store can be used now; reconnects where that takes a connection.
    fn ping(&self) -> BackendFuture<'_, ()>;

    /// The log of write-behind writes, if the store keeps one. Without it such writers are refused.
    fn write_log(&self) -> Option<&dyn log::WriteLog> {
        None
    }
}
