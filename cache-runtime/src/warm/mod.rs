//! Filling a cache before it is needed.
//!
//! A cache that has just been started answers nothing, and all that it is asked for goes to the database. There are three ways around that:
//!
//! * **Eagerly**: [`Cache::warm`](crate::Cache::warm) loads a list of arguments or keys, or the keys that were the hottest before the restart ([`HotKeys`]), so many at a
//!   time.
//! * **From a shadow**: a [`Recorder`](shadow::Recorder) keeps a sampled log of what is read, and [`replay`](shadow::replay) reads it again on another cache.
//! * **Gradually**: [`Gradual`](crate::backend::Gradual) sends a growing share of the keys from one backend to another.

pub(crate) mod access;
mod by_key;
mod crew;
mod eager;
mod file;
pub(crate) mod hot;
mod items;
mod pace;
mod progress;
mod report;
pub mod shadow;
pub(crate) mod witness;

pub use eager::{Stop, WarmUp};
pub use file::{FileError, FileProblem};
pub use hot::{HotKey, HotKeys};
pub use items::{Arguments, Keys, Unchosen};
pub use progress::Progress;
pub use report::{WarmEnd, WarmError, WarmReport};
