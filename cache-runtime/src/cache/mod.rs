//! The cache: a backend, its guard, its flights and its figures, behind one cheap handle.

mod builder;
mod context;
mod installed;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::{CacheBuilder, Ttl};
pub use context::carry;
pub(crate) use context::{
    Place, carry_apart, enter_load, enter_refresh, enter_transaction, enter_warm_up, is_loading,
    place, resolve, saw, transaction,
};
pub(crate) use installed::Current;

use crate::clock::Clock;
use crate::error::Error;
use crate::events::{Events, Told};
use crate::guard::{Delivery, Guarded, without_timers};
use crate::invalidation::{self, Keys};
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::observe::{BackendStats, FunctionStats, Functions, Stats};
use crate::pattern::contexts::Contexts;
use crate::pattern::read_through::ahead::Ahead;
use crate::pattern::write_behind::state::Writes;
use crate::random::Random;
use crate::spec::CodecKind;
use crate::stampede::flight::{Loads, Questions};
use crate::stampede::refresh::Refreshes;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Handle, RandomState};
use crate::warm::access::Accesses;

/// A cache: where annotated functions keep their results.
///
/// The handle is cheap to clone, and every clone is the same cache. Build one, then [`install`](Self::install) it for the
/// process, or put it around some work with [`scope`](Self::scope), or name it in an annotation with `cache = …`.
///
/// ```
/// use cache_runtime::{Cache, cached, invalidates};
///
/// #[cached(key = "greeting:<name>", ttl = 300)]
/// async fn greeting(name: &str) -> String {
///     format!("Hello, {name}!")
/// }
///
/// #[invalidates("greeting:<name>")]
/// async fn rename(name: &str) {}
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), cache_runtime::Error> {
///     Cache::builder().namespace("docs").build().await?.install()?;
///     assert_eq!(greeting("Ada").await, "Hello, Ada!");
///     rename("Ada").await;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Cache {
    pub(crate) inner: Arc<Inner>,
}

/// What the handles share.
pub(crate) struct Inner {
    pub(crate) guarded: Arc<Guarded>,
    pub(crate) clock: Clock,
    pub(crate) loads: Arc<Loads>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) refreshes: Arc<Refreshes>,
    pub(crate) ahead: Ahead,
    pub(crate) random: Random,
    pub(crate) functions: Functions,
    pub(crate) epochs: Epochs,
    pub(crate) settings: Settings,
    pub(crate) writes: Writes,
    pub(crate) events: Option<Events>,
    /// Who looks on when keys are read, if anybody does.
    pub(crate) accesses: Option<Accesses>,
    pub(crate) contexts: Contexts,
}

/// What the builder decided.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) default_ttl: Duration,
    pub(crate) codec: Option<CodecKind>,
    pub(crate) lease_ttl: Duration,
    pub(crate) intent_ttl: Duration,
    /// Whether it runs read-through loaders by itself.
    pub(crate) loaders: bool,
}

impl Cache {
    /// Begins to build a cache. Without further ado it keeps 100,000 entries in memory.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }

    /// Builds the cache that the variable `CACHE_URL` names: `memory://`, `redis://…`, `rediss://…` or `unix://…`; in memory if it is
    /// not set. `CACHE_NAMESPACE` sets the namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the URL cannot be used; it names the part that is wrong. A server that is away is no error.
    pub async fn from_env() -> Result<Self, Error> {
        Self::builder().env()?.build().await
    }

    /// Removes the entry of the key. When this returns `Ok`, no call that begins later, in any process, gets a value from before.
    ///
    /// # Errors
    ///
    /// [`Error::Kept`] if the backend is away: the invalidation is kept and delivered on its return, and until then this
    /// process bypasses the cache. Other processes that still reach the backend may serve the old value until then.
    pub async fn invalidate(&self, key: impl Into<Key>) -> Result<(), Error> {
        self.invalidate_names(Keys::from_iter([key.into()])).await
    }

    /// Removes the entries of the keys, in one round trip.
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_all<K: Into<Key>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<(), Error> {
        self.invalidate_names(keys.into_iter().map(Into::into).collect())
            .await
    }

    /// Makes every entry that has the tag good no more, in one step, whatever their number. When this returns `Ok`, no call that begins later, in any
    /// process, gets a value that was loaded before.
    ///
    /// The entries' room is given back as they are read, expire or are evicted.
    ///
    /// ```
    /// use cache_runtime::{Cache, cached};
    ///
    /// #[cached(key = "user:<id>", tags = ["org:<org>"])]
    /// async fn user_name(org: u32, id: u64) -> String { format!("user {id} of {org}") }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// let cache = Cache::builder().build().await?;
    /// cache.scope(async {
    ///     user_name(7, 1).await;
    ///     user_name(7, 2).await;
    ///     cache.invalidate_tag("org:7").await?;
    ///     assert_eq!(user_name::peek(1).await, None);
    ///     Ok(())
    /// }).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_tag(&self, tag: impl Into<Key>) -> Result<(), Error> {
        self.invalidate_names(Keys::of_tags([tag.into()])).await
    }

    /// [`invalidate_tag`](Self::invalidate_tag) of many, in one round trip for some hundreds.
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_tags<T: Into<Key>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        let tags = tags.into_iter().map(Into::into);
        self.invalidate_names(Keys::of_tags(tags)).await
    }

    /// Makes every entry of the cache's namespace good no more, in one step, whatever their number. When this returns `Ok`, no call that begins later, in
    /// any process, gets a value that was loaded before.
    ///
    /// The entries' room is given back as they are read, expire or are evicted; [`clear`](Self::clear) gives it back at once, in as many steps as it takes.
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn bump_namespace(&self) -> Result<(), Error> {
        self.invalidate_names(Keys::everything()).await
    }

    async fn invalidate_names(&self, keys: Keys) -> Result<(), Error> {
        if let Some(transaction) = transaction() {
            // At once for the caller's sake, and again at the end: until the commit a reader may store the old value anew.
            transaction.note(self, &keys);
        }
        match self.inner.invalidate(&keys).await {
            Delivery::Done => Ok(()),
            Delivery::Kept(error) => Err(Error::Kept(error)),
        }
    }

    /// Removes every entry of the cache's namespace, and on a bus those of the other regions too. On Redis this walks the key space in steps; other programs'
    /// keys stay.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] if the backend is away or fails half-way.
    pub async fn clear(&self) -> Result<(), Error> {
        self.inner.tell_regions(&Keys::everything(), Told::Others);
        Ok(self.inner.clear_here().await?)
    }

    /// Runs `work` so that the invalidations inside take effect after it, not before: for a transaction that ends in `work`.
    ///
    /// A writer inside a transaction returns before the commit, and an invalidation at that point would let a reader store the
    /// old value again. So `#[invalidates]` inside `work` only notes its keys, and they are invalidated when `work` has ended, however it
    /// ends: with `Ok`, with `Err`, by a panic, or dropped. Within `work`, cached functions load the noted keys from the
    /// database and store nothing, so that uncommitted rows are seen by nobody else.
    ///
    /// It holds for the task that runs `work`; spawned tasks are not part of it unless they are given [`carry`].
    ///
    /// ```
    /// # use cache_runtime::{Cache, invalidates};
    /// # #[invalidates("user:<id>")] async fn rename_user(id: u64) {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// # let cache = Cache::builder().build().await?;
    /// cache.in_transaction(async {
    ///     // let mut tx = pool.begin().await?;
    ///     rename_user(42).await;
    ///     // tx.commit().await
    /// }).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn in_transaction<F: Future>(&self, work: F) -> F::Output {
        // In a box: every layer of futures around it would hold it twice, and a transaction's work is large.
        invalidation::transaction::run(self.clone(), Box::pin(work)).await
    }

    /// Asks the backend whether it can be used now. A service may report it; it need not wait for it.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] if it does not answer within the operation timeout, or says that it cannot be used.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.inner.guarded.ping().await?)
    }

    /// What the cache did since it was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let guarded = &self.inner.guarded;
        Stats {
            write_behind: self.inner.write_behind_stats(),
            bus: self.inner.events.as_ref().map(Events::stats),
            functions: self.inner.functions.iter().map(FunctionStats::of).collect(),
            backend: BackendStats {
                name: guarded.backend().name(),
                breaker_open: guarded.breaker_open(),
                breaker_openings: guarded.openings(),
                undelivered_invalidations: guarded.backlog_len(),
            },
        }
    }
}

impl Inner {
    /// Invalidates in this process's own record and at the backend, and tells the other regions.
    pub(crate) async fn invalidate(&self, keys: &Keys) -> Delivery {
        // Before anything that can be dropped half-way.
        self.tell_regions(keys, Told::Others);
        let mut unsettled = Unsettled {
            cache: self,
            keys,
            is_done: false,
        };
        let delivery = self.invalidate_here(keys).await;
        unsettled.is_done = matches!(delivery, Delivery::Done);
        delivery
    }

    /// Does `work` without a caller to wait for it: at once if it needs no waiting, else on the runtime.
    pub(crate) fn detached(work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(work);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let Ok(runtime) = Handle::try_current() else {
            // Dropped after one poll if it has to wait; an invalidation among it keeps its keys then.
            let _ = without_timers(|| work.as_mut().poll(&mut cx));
            return;
        };
        if work.as_mut().poll(&mut cx).is_pending() {
            runtime.spawn(work);
        }
    }
}

/// An invalidation that may not come to its end, be it that its caller is dropped: this process may not live to finish it, and then its own group has to.
struct Unsettled<'a> {
    cache: &'a Inner,
    keys: &'a Keys,
    is_done: bool,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.cache.tell_regions(self.keys, Told::All);
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("backend", self.inner.guarded.backend())
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl AsRef<Cache> for Cache {
    fn as_ref(&self) -> &Cache {
        self
    }
}

/// How often this process has invalidated a key, for the times when the backend cannot be asked.
///
/// Keys share counters by hash: two keys that share one are told apart too often, never too seldom.
pub(crate) struct Epochs {
    counts: Box<[AtomicU64]>,
    /// How often it has invalidated what may be of any key.
    all: AtomicU64,
    hasher: RandomState,
}

impl Epochs {
    const COUNTS: usize = 1024;

    fn new() -> Self {
        Self {
            counts: (0..Self::COUNTS).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    fn at(&self, key: &Key) -> &AtomicU64 {
        use std::hash::BuildHasher;
        &self.counts[self.hasher.hash_one(key) as usize % Self::COUNTS]
    }

    pub(crate) fn of(&self, key: &Key) -> u64 {
        if mutants::on(Mutant::EpochsNotCounted) {
            return 0;
        }
        // Neither ever falls, so their sum tells whether one of them has risen.
        let all = self.all.load(Ordering::SeqCst);
        self.at(key).load(Ordering::SeqCst).wrapping_add(all)
    }

    pub(crate) fn advance(&self, keys: &[Key]) {
        for key in keys {
            self.at(key).fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn advance_all(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }
}
