//! What writers do to the cache.

pub(crate) mod transaction;
mod write;

pub use write::{Keys, StrictError, refusal, write, write_strict};
