//! What tasks of one process meet at: the locks, atomics, notifications, timers, tasks and the map that the flights, the in-memory backend, the
//! breaker and the clock are made of.
//!
//! In a normal build these names are the originals and nothing else. In the crate's own tests under `--cfg shuttle` they are those of
//! [shuttle](https://docs.rs/shuttle), which runs all tasks on one thread and decides at each use who goes on, and `model`s of what shuttle has
//! not. The tests of `interleavings` run on these.
//!
//! Statics take the originals also there: shuttle's may not be shared by tests that run side by side.

#[cfg(all(test, shuttle))]
mod model;

#[cfg(all(test, shuttle))]
pub(crate) use self::model::{
    Handle, LocalKey, Notify, OnceLock, QuickCache, RandomState, spawn, task_local, time,
};
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};

#[cfg(not(all(test, shuttle)))]
pub(crate) use quick_cache::sync::Cache as QuickCache;
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::hash::RandomState;
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock, atomic};
#[cfg(not(all(test, shuttle)))]
pub(crate) use tokio::{runtime::Handle, spawn, sync::Notify, task_local, time};
