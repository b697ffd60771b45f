//! Reads what was recorded once more, on another cache.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use super::log::{AccessLog, Accesses};
use crate::cache::Cache;
use crate::key::Key;
use crate::warm::WarmUp;
use crate::warm::by_key::ByKey;
use crate::warm::items::{Item, Items, Judged, Label, by_key, sealed};

/// Begins to replay a log: say on what cache.
///
/// ```no_run
/// use cache_runtime::Cache;
/// use cache_runtime::warm::shadow::{AccessLog, Speed, replay};
///
/// # async fn example() -> Result<(), cache_runtime::Error> {
/// let new = Cache::builder().url("redis://new-server/")?.build().await?;
/// let log = AccessLog::open("access.log").await?;
/// let report = replay(log).against(&new).speed(Speed::Times(10.0)).run().await;
/// println!("{report}; hit ratio {:.1}%", report.hit_ratio() * 100.0);
/// # Ok(())
/// # }
/// ```
pub fn replay(log: AccessLog) -> Replay {
    Replay(log)
}

/// A log to be replayed. Made by [`replay`].
#[must_use = "call `against`"]
#[derive(Debug)]
pub struct Replay(AccessLog);

impl Replay {
    /// On this cache, in its scope: by the read-through loaders whose templates the keys fit, unless [`load_with`](WarmUp::load_with) says otherwise. Each access is one item of a
    /// warm-up, and its report has the [hit ratio](crate::warm::WarmReport::hit_ratio).
    pub fn against(self, cache: &Cache) -> WarmUp<Shadow> {
        cache.warm().with(Shadow {
            accesses: self.0.into_accesses(),
            speed: Speed::Real,
        })
    }
}

/// How fast a log is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Speed {
    /// As fast as it was recorded.
    #[default]
    Real,
    /// So many times as fast. What is not above 0 is as fast as it goes.
    Times(f64),
    /// As fast as it goes.
    AsFastAsItGoes,
}

impl Speed {
    fn due(self, at: Duration) -> Duration {
        match self {
            Self::Real => at,
            Self::Times(factor) if factor > 0.0 => {
                Duration::try_from_secs_f64(at.as_secs_f64() / factor).unwrap_or(Duration::MAX)
            }
            Self::Times(_) | Self::AsFastAsItGoes => Duration::ZERO,
        }
    }
}

/// The accesses of a log, each in its time.
#[derive(Debug)]
pub struct Shadow {
    accesses: Accesses,
    speed: Speed,
}

impl Shadow {
    fn access(&mut self) -> Option<(Duration, Key)> {
        let (at, key) = self.accesses.next()?;
        Some((self.speed.due(at), key))
    }
}

impl WarmUp<Shadow> {
    /// Sets how fast. Default: as it was recorded.
    ///
    /// An access that finds no place among those [under way](WarmUp::concurrency) begins later than its time; the report says
    /// [by how much](crate::warm::WarmReport::behind) at most.
    pub fn speed(mut self, speed: Speed) -> Self {
        self.items.speed = speed;
        self
    }

    /// Calls `load` for each access, rather than the registered loaders: for keys of functions that are not read-through.
    pub fn load_with<F, W>(self, load: F) -> WarmUp<ShadowWith<F, W>>
    where
        F: FnMut(Key) -> W,
        W: Future,
    {
        self.map(|shadow| ShadowWith {
            shadow,
            load,
            work: std::marker::PhantomData,
        })
    }
}

impl sealed::Sealed for Shadow {}

impl Items for Shadow {
    type Work = Judged<ByKey>;

    fn next(&mut self, cache: &Cache) -> Option<Item<Judged<ByKey>>> {
        let (due, key) = self.access()?;
        Some(Item {
            due,
            work: by_key(cache, &key),
            label: Label::Key(key),
        })
    }

    fn left(&self) -> (u64, bool) {
        (self.accesses.left(), true)
    }
}

/// The accesses of a log, and a function for them.
pub struct ShadowWith<F, W> {
    shadow: Shadow,
    load: F,
    work: std::marker::PhantomData<fn() -> W>,
}

impl<F, W> fmt::Debug for ShadowWith<F, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ShadowWith").field(&self.shadow).finish()
    }
}

impl<F, W> sealed::Sealed for ShadowWith<F, W> {}

impl<F, W> Items for ShadowWith<F, W>
where
    F: FnMut(Key) -> W,
    W: Future,
{
    type Work = Judged<W>;

    fn next(&mut self, _: &Cache) -> Option<Item<Judged<W>>> {
        let (due, key) = self.shadow.access()?;
        Some(Item {
            due,
            label: Label::Key(key.clone()),
            work: Judged::new((self.load)(key), |_| Ok(())),
        })
    }

    fn left(&self) -> (u64, bool) {
        (self.shadow.accesses.left(), true)
    }
}
