//! What writers do to the cache.

pub(crate) mod announced;
pub(crate) mod owed;
pub(crate) mod transaction;
mod write;

pub use write::{Keys, StrictError, refusal, write, write_strict};
