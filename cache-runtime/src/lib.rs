//! Caches async functions in front of a database: right, fast and visible, by two annotations.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backend;
mod cache;
mod clock;
mod codec;
mod companion;
mod entry;
mod error;
mod guard;
mod invalidation;
mod key;
mod observe;
mod pattern;
#[doc(hidden)]
pub mod private;
mod race;
mod shape;
mod spec;
mod stampede;
#[cfg(feature = "testing")]
pub mod testing;

pub use cache::{Cache, CacheBuilder, Ttl, carry};
#[cfg(feature = "macros")]
pub use cache_macros::{cached, invalidates};
pub use clock::{Clock, ManualClock};
pub use error::{BackendError, BackendErrorKind, CodecError, ConfigError, Error};
pub use key::{Key, KeyElements, KeyPart, KeyWriter};
pub use observe::{BackendStats, FunctionStats, Stats};
pub use pattern::entries::CacheValue;
pub use spec::{CodecKind, Consistency, Pattern, Spec, Stampede, WriterSpec};
