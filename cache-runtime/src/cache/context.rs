//! What a task carries: the cache of its scope, the transaction it is in, a refresh to be done, and the warm-up that it is part of.

use std::cell::Cell;
use std::sync::{Arc, Weak};

use super::{Cache, Current};
use crate::invalidation::transaction::Transaction;
use crate::key::Key;
use crate::spec::Spec;
use crate::sync::task_local;
use crate::warm::witness::{Sight, Witness};

task_local! {
    static CONTEXT: Context;
}

#[derive(Clone, Default)]
struct Context {
    cache: Option<Cache>,
    transaction: Option<Arc<Transaction>>,
    /// The function whose next call is to load whatever is cached.
    refresh: Cell<Option<&'static Spec>>,
    /// What is being loaded around here, innermost first. Held by the load itself: who carries this on past its end is inside of it no more.
    loading: Weak<Loading>,
    /// The item of a warm-up that the task works at.
    witness: Option<Witness>,
}

/// Keys whose load the task is in.
struct Loading {
    cache: Cache,
    keys: Vec<Key>,
    around: Weak<Self>,
}

impl Context {
    /// What the task carries, but for a refresh: that is meant for one call, not for what is started beside it.
    fn inherited() -> Self {
        let inherited: Self = CONTEXT.try_with(Clone::clone).unwrap_or_default();
        inherited.refresh.set(None);
        inherited
    }
}

/// Where a call takes place.
pub(crate) struct Place {
    pub(crate) cache: Current,
    pub(crate) transaction: Option<Arc<Transaction>>,
    /// Whether the call is to load although there may be a value.
    pub(crate) refresh: bool,
    /// Whether the call is part of a warm-up, and so no access that somebody made.
    pub(crate) warming: bool,
}

/// Finds the cache of a call to `spec`; `None` for a call that is not a cached function's.
#[inline]
pub(crate) fn place(spec: Option<&'static Spec>) -> Place {
    CONTEXT
        .try_with(|context| {
            let refresh = match (context.refresh.get(), spec) {
                // Taken by the first call of the function; what that calls in turn is not refreshed.
                (Some(wanted), Some(spec)) if std::ptr::eq(wanted, spec) => {
                    context.refresh.set(None);
                    true
                }
                _ => false,
            };
            if let Some(witness) = &context.witness {
                witness.saw(Sight::Call);
            }
            Place {
                cache: context
                    .cache
                    .clone()
                    .map_or_else(Current::process, Current::Own),
                transaction: context.transaction.clone(),
                refresh,
                warming: context.witness.is_some(),
            }
        })
        .unwrap_or_else(|_| Place {
            cache: Current::process(),
            transaction: None,
            refresh: false,
            warming: false,
        })
}

/// The cache that was given, or the one of the place.
pub(crate) fn resolve(given: Option<Cache>) -> Cache {
    given.unwrap_or_else(|| place(None).cache.into_owned())
}

/// The transaction that the task is in.
pub(crate) fn transaction() -> Option<Arc<Transaction>> {
    CONTEXT
        .try_with(|context| context.transaction.clone())
        .ok()
        .flatten()
}

/// Whether the task is inside a load of this key. It must not wait for that load, which waits for it: a single loader may well ask
/// the batch loader of the same template.
pub(crate) fn is_loading(cache: &Cache, key: &Key) -> bool {
    let inside = CONTEXT.try_with(|context| {
        let mut load = context.loading.upgrade();
        while let Some(inner) = load {
            if Arc::ptr_eq(&inner.cache.inner, &cache.inner) && inner.keys.contains(key) {
                return true;
            }
            load = inner.around.upgrade();
        }
        false
    });
    inside.unwrap_or(false)
}

/// Runs a load of these keys.
pub(crate) async fn enter_load<F: Future>(cache: &Cache, keys: Vec<Key>, work: F) -> F::Output {
    let inherited = Context::inherited();
    let load = Arc::new(Loading {
        cache: cache.clone(),
        keys,
        around: inherited.loading.clone(),
    });
    let context = Context {
        loading: Arc::downgrade(&load),
        // What is called from inside is not what the item is about.
        witness: inherited.witness.as_ref().map(Witness::inside),
        ..inherited
    };
    CONTEXT.scope(context, work).await
}

/// As [`carry`], for work that nobody waits for: it is inside of no load.
pub(crate) fn carry_apart<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
    let context = Context {
        loading: Weak::new(),
        ..Context::inherited()
    };
    CONTEXT.scope(context, work)
}

pub(crate) async fn enter_transaction<F: Future>(
    transaction: Arc<Transaction>,
    work: F,
) -> F::Output {
    let context = Context {
        transaction: Some(transaction),
        ..Context::inherited()
    };
    CONTEXT.scope(context, work).await
}

pub(crate) async fn enter_refresh<F: Future>(spec: &'static Spec, work: F) -> F::Output {
    let context = Context {
        refresh: Cell::new(Some(spec)),
        ..Context::inherited()
    };
    CONTEXT.scope(context, work).await
}

/// Runs one item of a warm-up in the scope of its cache.
pub(crate) fn enter_warm_up<F: Future>(
    cache: &Cache,
    witness: Witness,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let context = Context {
        cache: Some(cache.clone()),
        witness: Some(witness),
        ..Context::default()
    };
    CONTEXT.scope(context, work)
}

/// Tells the warm-up that the task is part of, if there is one, what became of its call.
pub(crate) fn saw(sight: Sight) {
    // Outside of tasks there is no warm-up.
    let _ = CONTEXT.try_with(|context| {
        if let Some(witness) = &context.witness {
            witness.saw(sight);
        }
    });
}

impl Cache {
    /// Runs `work` with this cache for every annotated function called inside, whatever is installed.
    ///
    /// The scope belongs to the task, so tests that run side by side in one process, each in the scope of a cache of its own,
    /// never see each other's entries. A task that `work` spawns is not in the scope: it sees the installed cache. Hand
    /// the scope on with [`carry`].
    ///
    /// ```
    /// use cache_runtime::{Cache, cached, carry};
    ///
    /// #[cached(key = "square:<n>")]
    /// async fn square(n: u64) -> u64 { n * n }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// let cache = Cache::builder().build().await?;
    /// cache.scope(async {
    ///     square(3).await;
    ///     tokio::spawn(carry(async { square(3).await })).await.expect("it does not panic");
    /// }).await;
    /// assert_eq!(cache.stats().function(square::SPEC).hits, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scope<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let context = Context {
            cache: Some(self.clone()),
            ..Context::inherited()
        };
        CONTEXT.scope(context, work)
    }
}

/// Gives work that is about to be spawned the scope and the transaction of the task that spawns it.
///
/// What is carried is what holds where `carry` is called, not where the future is polled. See [`Cache::scope`].
pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
    CONTEXT.scope(Context::inherited(), work)
}
