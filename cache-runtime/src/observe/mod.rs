//! What the cache did, counted.

mod counters;
mod functions;
mod stats;

pub(crate) use counters::{Count, Counters};
pub(crate) use functions::{FunctionState, Functions};
pub use stats::{BackendStats, FunctionStats, Stats};
