//! Caches async functions in front of a database: right, fast and visible, by two annotations.
//!
//! ```
//! use cache_runtime::{Cache, cached, invalidates};
//!
//! #[cached(key = "user:<id>", ttl = 300)]
//! async fn load_user(id: u64) -> Option<String> {
//!     Some(format!("user {id}"))
//! }
//!
//! #[invalidates("user:<id>")]
//! async fn rename_user(id: u64, name: &str) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), cache_runtime::Error> {
//! Cache::builder().build().await?.install()?;
//! load_user(42).await; // loads
//! load_user(42).await; // hits
//! rename_user(42, "Grace").await;
//! load_user(42).await; // loads
//! # Ok(())
//! # }
//! ```
//!
//! * [`cached`] is for loaders, [`invalidates`] for writers; their documentation has every argument, with an example each.
//! * [`Cache`] is built, installed or put around some work, and tells what it did.
//! * [`backend`] is the contract of a store, with the in-memory and the Redis backend.
//! * [`bus`] carries invalidations between regions, each with a store of its own.
//! * [`warm`] fills a cache before it is needed.
//! * `testing` (feature `testing`) has faults on demand and the conformance suite for backends.
//!
//! # What can still be stale
//!
//! Each level of [`Consistency`] says it; `fenced` is the default. A read that begins after an invalidation has returned never
//! gets a value that was loaded before it. Past its TTL a value is served only where `stale_if_error` says so, and only when its load fails.
//!
//! # What a cached function never does
//!
//! It never returns an error of the cache's own, unless it is a writer that asked for `consistency = "strict"` or a loader that asked for a
//! `timeout`. With the backend down,
//! hung, slow or flushed the loader runs; such a call costs at most the operation timeout (50 ms), and once the breaker is open nothing.
//!
//! # Runtime
//!
//! The futures run on tokio, with its timers on (`enable_time`; `#[tokio::main]` has them): a load that waits renews its lease by them.
//!
//! # Features
//!
//! | feature | default | |
//! | --- | --- | --- |
//! | `macros` | yes | the attributes |
//! | `redis` | yes | the Redis backend |
//! | `tls` | | `rediss://`, on rustls with ring |
//! | `bincode` | yes | the default codec; its crate is finished and unmaintained (RUSTSEC-2025-0141) |
//! | `postcard`, `msgpack`, `json` | | further codecs |
//! | `testing` | | faults and the conformance suite |
#![cfg_attr(docsrs, feature(doc_cfg))]

// What the macros write names the crate from outside.
#[cfg(all(test, shuttle))]
extern crate self as cache_runtime;

pub mod backend;
pub mod bus;
mod cache;
mod clock;
mod codec;
mod companion;
mod entry;
mod error;
mod events;
mod guard;
#[cfg(all(test, shuttle))]
mod interleavings;
mod invalidation;
mod key;
mod mutants;
mod observe;
mod pattern;
#[doc(hidden)]
pub mod private;
mod race;
mod random;
mod registry;
mod shape;
mod spec;
mod stampede;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
pub mod warm;

pub use cache::{Cache, CacheBuilder, Ttl, carry};
#[cfg(feature = "macros")]
pub use cache_macros::{cached, invalidates};
pub use clock::{Clock, ManualClock};
pub use error::{
    BackendError, BackendErrorKind, CodecError, ConfigError, Error, GetError, LoadFailure,
};
pub use events::options::BusOptions;
pub use events::stats::BusStats;
pub use key::{FromKeyPart, Key, KeyElements, KeyPart, KeyText, KeyWriter};
pub use observe::{BackendStats, FunctionStats, Stats};
pub use pattern::entries::CacheValue;
pub use pattern::write_behind::letters::{DeadLetter, Retried};
pub use pattern::write_behind::options::WriteBehind;
pub use pattern::write_behind::report::{FlushReport, WriteBehindStats};
pub use pattern::write_behind::writer::Write;
pub use pattern::write_through::RowVersion;
pub use registry::{Check, Finding, FindingKind, FunctionInfo, Place};
pub use spec::{CodecKind, Consistency, Pattern, Queueing, Spec, Stampede, WhenFull, WriterSpec};

/// The README's code, as tests.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../../README.md")]
mod readme {}
