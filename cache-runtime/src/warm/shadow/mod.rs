//! The shadow of a cache: a log of what is read from it, to be read from another.
//!
//! A cache that was built with a [`Recorder`] keeps a sampled log of the keys that are read. [`replay`] reads them again, in the same order and at the
//! speed of one's choice, on a cache that is not in use yet: it is warm then, and its hit ratio is known before the first caller depends on it.
//!
//! ```
//! use cache_runtime::warm::shadow::{AccessLog, Recorder, Speed, replay};
//! use cache_runtime::{Cache, Key, cached};
//!
//! #[cached(key = "square:<n>")]
//! async fn square(n: u64) -> u64 { n * n }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), cache_runtime::Error> {
//! # let folder = std::env::temp_dir().join(format!("accesses-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! # let path = folder.join("access.log");
//! let old = Cache::builder().record(Recorder::to_file(&path).one_in(1)).build().await?;
//! old.scope(async {
//!     for n in [1, 2, 1, 1] { square(n).await; }
//! }).await;
//! old.recording().unwrap().close().await?;
//!
//! let new = Cache::builder().build().await?;
//! let load = |key: Key| square(key.trim_start_matches("square:").parse().unwrap());
//! let replay = replay(AccessLog::open(&path).await?).against(&new).speed(Speed::Times(10.0));
//! let report = replay.load_with(load).run().await;
//! assert_eq!((report.loaded, report.already_there), (2, 2));
//! # std::fs::remove_dir_all(folder).unwrap();
//! # Ok(())
//! # }
//! ```

pub(crate) mod format;
mod log;
mod recorder;
mod replay;
mod segments;
mod sink;
#[cfg(feature = "redis")]
mod stream;

pub use log::AccessLog;
pub use recorder::{Recorder, Recording, RecordingStats};
pub use replay::{Replay, Shadow, ShadowWith, Speed, replay};
