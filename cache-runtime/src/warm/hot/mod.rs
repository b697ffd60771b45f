//! The hottest keys of a cache, as far as it has seen.

pub(crate) mod file;
mod sketch;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use self::sketch::{Counted, Sketch};
use super::file::{FileError, in_background};
use crate::cache::Cache;
use crate::error::{ConfigError, Error};
use crate::key::Key;

/// Keys that are longer are not followed, so that the sketch's memory is bounded whatever the keys are.
const LONGEST_KEY: usize = 1024;

/// So many parts of the key space have a sketch and a lock of their own, where it is large enough to be divided.
const PARTS: usize = 16;
const DIVIDED_FROM: usize = 1024;

/// How a cache follows its hottest keys: [`CacheBuilder::track_hot_keys`](crate::CacheBuilder::track_hot_keys).
///
/// A plain number is the number of keys.
#[derive(Debug, Clone)]
pub struct HotKeys {
    capacity: usize,
    one_in: u32,
}

impl HotKeys {
    /// The most keys that can be followed.
    pub const MOST: usize = 1_000_000;

    /// Follows so many keys. Take some times as many as are to be warmed: the last of them are the least certain. Each takes about 250 bytes.
    #[must_use]
    pub fn new(keys: usize) -> Self {
        Self {
            capacity: keys,
            one_in: 16,
        }
    }

    /// Counts one access in so many, at random. Default 16; 1 counts each. What is not counted costs a hit the draw of a random number.
    #[must_use]
    pub fn one_in(mut self, accesses: u32) -> Self {
        self.one_in = accesses;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.capacity == 0 || self.capacity > Self::MOST {
            let problem = format!("must be between 1 and {} keys", Self::MOST);
            return Err(ConfigError::new("track_hot_keys", problem));
        }
        if self.one_in == 0 {
            return Err(ConfigError::new(
                "track_hot_keys",
                "counts one access in at least 1",
            ));
        }
        Ok(())
    }
}

impl From<usize> for HotKeys {
    fn from(keys: usize) -> Self {
        Self::new(keys)
    }
}

/// One of the hottest keys.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HotKey {
    /// The key.
    pub key: Key,
    /// About how often it was read, as far as that is certain: at most so often as it was, but for the error of the sampling. Accesses of some time ago
    /// count for less.
    pub accesses: f64,
}

/// The sketch of one cache.
pub(crate) struct Hottest {
    parts: Box<[Mutex<Sketch>]>,
    hasher: RandomState,
    one_in: u32,
}

impl fmt::Debug for Hottest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hottest")
    }
}

impl Hottest {
    pub(crate) fn new(settings: &HotKeys) -> Self {
        let parts = if settings.capacity < DIVIDED_FROM {
            1
        } else {
            PARTS
        };
        let capacity = settings.capacity.div_ceil(parts);
        Self {
            parts: (0..parts)
                .map(|_| Mutex::new(Sketch::new(capacity)))
                .collect(),
            hasher: RandomState::new(),
            one_in: settings.one_in,
        }
    }

    fn part(&self, key: &Key) -> &Mutex<Sketch> {
        &self.parts[self.hasher.hash_one(key) as usize % self.parts.len()]
    }

    /// Counts an access, unless chance or another's turn says no.
    #[inline]
    pub(crate) fn saw(&self, key: &Key) {
        // Drawn each time. A count-down that threads keep for themselves would be in step with callers that ask for the same keys in turn.
        if self.one_in == 1 || fastrand::u32(..self.one_in) == 0 {
            self.count(key);
        }
    }

    #[cold]
    fn count(&self, key: &Key) {
        if key.as_bytes().len() > LONGEST_KEY {
            return;
        }
        // An access that is not counted matters less than one that waits.
        if let Ok(mut sketch) = self.part(key).try_lock() {
            sketch.saw(key);
        }
    }

    fn recall(&self, known: &[HotKey]) {
        for HotKey { key, accesses } in known {
            let mut sketch = self
                .part(key)
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            sketch.recall(key, accesses / f64::from(self.one_in));
        }
    }

    /// The hottest first. Sorted by the accesses that are certain: of two keys of the same count the one that took over another's
    /// counter lately has seen less of it.
    fn hottest(&self, most: usize) -> Vec<HotKey> {
        let mut all: Vec<Counted> = Vec::new();
        for part in &self.parts {
            all.extend(part.lock().unwrap_or_else(PoisonError::into_inner).all());
        }
        all.sort_by(|a, b| {
            let by_count = b.least.total_cmp(&a.least).then(b.most.total_cmp(&a.most));
            by_count.then_with(|| a.key.cmp(&b.key))
        });
        all.truncate(most);
        let scaled = |counted: Counted| HotKey {
            key: counted.key,
            accesses: counted.least * f64::from(self.one_in),
        };
        all.into_iter().map(scaled).collect()
    }
}

impl Cache {
    /// The hottest keys since the cache was built, hottest first, as far as it [tracks](crate::CacheBuilder::track_hot_keys) them; else none. An estimate: keys that are
    /// read about as often may change places.
    ///
    /// ```
    /// use cache_runtime::warm::HotKeys;
    /// use cache_runtime::{Cache, cached};
    ///
    /// #[cached(key = "square:<n>")]
    /// async fn square(n: u64) -> u64 { n * n }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// let cache = Cache::builder().track_hot_keys(HotKeys::new(1000).one_in(1)).build().await?;
    /// cache.scope(async {
    ///     for n in [1, 2, 2, 3, 2] { square(n).await; }
    /// }).await;
    /// assert_eq!(cache.hottest(1)[0].key, "square:2");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn hottest(&self, most: usize) -> Vec<HotKey> {
        self.tracked()
            .map_or_else(|_| Vec::new(), |hottest| hottest.hottest(most))
    }

    /// Writes the hottest keys to a file, so that they are known after a restart: call it at shutdown, and now and then for the case that there is
    /// none. The file is the one of before or the new one, whatever happens meanwhile. Keys are text of your data: keep the file where you keep that.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the cache does not track them, [`Error::File`] if the file cannot be written.
    pub async fn save_hot_keys(&self, path: impl Into<PathBuf>) -> Result<(), Error> {
        let keys = self.tracked()?.hottest(usize::MAX);
        in_background(path.into(), move |path| {
            super::file::replace(path, &file::write(&keys))
        })
        .await?;
        Ok(())
    }

    /// Reads the hottest keys of before from a file, in addition to those that are known, and tells how many there were.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the cache does not track them, [`Error::File`] if the file cannot be read or is damaged: then nothing of it is taken.
    pub async fn load_hot_keys(&self, path: impl Into<PathBuf>) -> Result<usize, Error> {
        let tracked = self.tracked()?;
        let known = in_background(path.into(), read).await?;
        tracked.recall(&known);
        Ok(known.len())
    }

    fn tracked(&self) -> Result<&Hottest, ConfigError> {
        let accesses = self.inner.accesses.as_ref();
        accesses
            .and_then(|accesses| accesses.hottest.as_ref())
            .ok_or_else(|| {
                ConfigError::new(
                    "hot keys",
                    "are not tracked: build the cache with `track_hot_keys`",
                )
            })
    }
}

fn read(path: &Path) -> Result<Vec<HotKey>, FileError> {
    let bytes = super::file::read(path, file::LARGEST)?;
    file::read(&bytes).map_err(|problem| FileError::new(path, problem))
}
