//! Write-behind: into a log and the cache, then to the caller; the body later, by a worker.
//!
//! A call appends its arguments to the log of the backend, which puts the new value into the cache in the same step. Workers, one in each process, divide
//! the log's partitions among themselves; the owner of one reads its writes, folds those of a key into groups, and runs the groups by the writer's body or by
//! its batch form. What is folded is noted in the log before it runs, so that after a crash just the same is run again, under the same sequence number.

mod call;
pub(crate) mod letters;
pub(crate) mod options;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod state;
mod worker;
pub(crate) mod writer;

pub use call::{LogError, unlogged, write_behind};
