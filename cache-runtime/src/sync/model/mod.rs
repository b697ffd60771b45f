//! Models of what shuttle has not: no more of each than the crate uses, with the promises of the original.
//!
//! A model keeps its state in locks of the standard library, which are never held where the scheduler may go on with another task, and
//! calls [`switch`] where the original can be seen by others to act.

mod local;
mod map;
mod notify;
mod once;
mod tasks;
pub(crate) mod time;

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use self::local::{LocalKey, task_local};
pub(crate) use self::map::QuickCache;
pub(crate) use self::notify::Notify;
pub(crate) use self::once::OnceLock;
pub(crate) use self::tasks::{Handle, spawn};

/// The same in each run, or a schedule could not be run again: which keys share a lock must not change.
pub(crate) type RandomState = BuildHasherDefault<DefaultHasher>;

/// Lets the scheduler go on with another task.
fn switch() {
    // Shuttle has no time: this is all that its sleep does.
    shuttle::thread::sleep(std::time::Duration::ZERO);
}

/// A panic that a test catches, in another task, may have left it poisoned.
fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
