//! What writers do to the cache.

pub(crate) mod announced;
mod keys;
pub(crate) mod owed;
pub(crate) mod transaction;
mod write;

pub use keys::Keys;
pub use write::{StrictError, refusal, write, write_strict};
