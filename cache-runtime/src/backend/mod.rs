//! Where entries live: the contract between the cache and its store.
//!
//! A backend keeps for each key, in one place and changed atomically, a **value**, a **read lease**, **write intents** and a
//! **fence**. [`Memory`] and [`Redis`](redis::Redis) are the two that come with the crate; your own implements [`Backend`]
//! and runs the cases of the conformance suite (`testing::conformance`, feature `testing`) to show that it keeps the contract.

mod memory;
#[cfg(feature = "redis")]
pub mod redis;
mod token;

pub use memory::{Memory, MemoryBuilder};
pub use token::Token;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

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

/// A value as a backend keeps it.
#[derive(Clone)]
pub enum Stored {
    /// A value of this process.
    Typed(Typed),
    /// An entry's bytes. Bytes `8..16` are the backend's to overwrite, when it stores the entry, with the time of its own
    /// clock in milliseconds, little-endian; the rest it keeps as it is.
    Encoded(Bytes),
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(_) => f.write_str("Typed"),
            Self::Encoded(bytes) => write!(f, "Encoded({} bytes)", bytes.len()),
        }
    }
}

/// A value of any type, shared.
pub type SharedValue = Arc<dyn Any + Send + Sync>;

/// A value of this process with what the cache knows about it.
#[derive(Debug, Clone)]
pub struct Typed {
    /// The value. That of a function which returns `Arc<T>` is the `T`: a hit hands out the very pointer that is stored.
    pub value: SharedValue,
    /// How long its load took.
    pub load_time: Duration,
}

/// What [`Backend::lease`] answers.
#[derive(Debug, Clone)]
pub enum Lease {
    /// The value came meanwhile.
    Hit(Stored),
    /// The lease is yours, under the token that you gave: load, then [`fill`](Backend::fill) or [`release`](Backend::release).
    Granted,
    /// Another load holds the lease, under this token.
    Busy(Token),
    /// A write is in progress: load, but do not store. The token names the state of writes; every begin and end of a write, and
    /// every invalidation beside one, makes a new one.
    Bypass(Token),
}

/// When [`Backend::lease`] grants a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseMode {
    /// Only where there is no value.
    IfMissing,
    /// Also where there is one, to replace it: never answers [`Lease::Hit`].
    Refresh,
}

/// What [`Backend::end_write`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteEnd {
    /// The intent still stood and no other write overlapped: the value, if one was given, is stored.
    Clean,
    /// Another write overlapped, or the intent had expired: nothing is stored.
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
/// * Operations need not return by themselves when the store hangs: the caller bounds them in time and drops them. A dropped operation
///   may or may not have taken effect.
/// * No operation panics on what it finds in the store; what it cannot read is a miss.
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

    /// The value, if there is one that has not expired.
    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>>;

    /// Asks for the right to load. Whoever cannot use the value that this would answer with asks in [`LeaseMode::Refresh`].
    ///
    /// In this order: [`Hit`](Lease::Hit) if there is a value (not in [`LeaseMode::Refresh`]);
    /// [`Bypass`](Lease::Bypass) while an intent lives; [`Busy`](Lease::Busy) while another lease lives; else
    /// [`Granted`](Lease::Granted), and the lease under `token` lives for `ttl` or until it is renewed, filled, released or invalidated.
    fn lease<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease>;

    /// Extends the lease to `ttl` from now. `false` if it no longer stands.
    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool>;

    /// Stores the value for `ttl` and ends the lease, if the lease still stands: `true`. Else stores nothing: `false`.
    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        ttl: Duration,
    ) -> BackendFuture<'a, bool>;

    /// Gives the lease up.
    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()>;

    /// Removes values and leases, and marks every write in progress as overlapping: its value may be from before this. The keys
    /// may be treated one after another, not as one atomic step.
    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()>;

    /// Stores the value for `ttl` whatever was there, ending any lease, unless an intent lives: then it is not stored, and
    /// the answer is `false`.
    fn put<'a>(&'a self, key: &'a Key, value: Stored, ttl: Duration) -> BackendFuture<'a, bool>;

    /// Announces a write: adds an intent that lives for `ttl`, removes value and lease, and marks this write and any other in
    /// progress as overlapping.
    fn begin_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, ()>;

    /// Extends the intent to `ttl` from now. `false` if it no longer stands.
    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool>;

    /// Ends a write: removes intent, value and lease; stores the given value for its TTL only if the intent still stood and no
    /// other write overlapped. If the intent no longer stood, marks every other write in progress as overlapping.
    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd>;

    /// Stores the value for `ttl` if `version` is greater than the fence, which then becomes `version`: `true`. A store marks every
    /// write in progress as overlapping. Ends any lease, whatever the answer. The fence outlives the value by at least a day.
    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        ttl: Duration,
    ) -> BackendFuture<'a, bool>;

    /// Returns when the lease under `token` no longer stands on the key; may return earlier, and returns after `patience` at
    /// the latest. The caller asks again. Woken by notification where the store has one.
    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()>;

    /// Does to every key of this backend's namespace what [`invalidate`](Self::invalidate) does. Fences and the intents of writes in progress
    /// stay: they keep older values out.
    fn clear(&self) -> BackendFuture<'_, ()>;

    /// Returns `Ok` if the store can be used now; reconnects where that takes a connection.
    fn ping(&self) -> BackendFuture<'_, ()>;
}
