//! The map of the in-memory backend.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::PoisonError;

use quick_cache::{Lifecycle, Options, Weighter};
use shuttle::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// [`quick_cache::sync::Cache`] as one shard without a bound: each operation on a key is one step, under a lock that the scheduler knows of.
/// The original's own locks are held where an entry is judged by atomics, and so where another task may be next.
pub(crate) struct QuickCache<K, V, We, B, L> {
    entries: RwLock<HashMap<K, V, B>>,
    weighter: We,
    lifecycle: L,
}

type Entries<K, V, B> = HashMap<K, V, B>;

impl<K, V, We, B, L> QuickCache<K, V, We, B, L>
where
    K: Eq + Hash,
    V: Clone,
    We: Weighter<K, V>,
    B: BuildHasher,
    L: Lifecycle<K, V>,
{
    pub(crate) fn with(_: usize, _: u64, weighter: We, hasher: B, lifecycle: L) -> Self {
        Self {
            entries: RwLock::new(HashMap::with_hasher(hasher)),
            weighter,
            lifecycle,
        }
    }

    pub(crate) fn with_options(_: Options, weighter: We, hasher: B, lifecycle: L) -> Self {
        Self::with(0, 0, weighter, hasher, lifecycle)
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries<K, V, B>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries<K, V, B>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.read().get(key).cloned()
    }

    pub(crate) fn remove<Q>(&self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.write().remove_entry(key)
    }

    pub(crate) fn remove_if<Q>(&self, key: &Q, judge: impl FnOnce(&V) -> bool) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut entries = self.write();
        if judge(entries.get(key)?) {
            entries.remove_entry(key)
        } else {
            None
        }
    }

    pub(crate) fn insert_with_lifecycle(&self, key: K, value: V, left: &mut L::RequestState)
    where
        K: Clone,
    {
        let replaced = self.write().insert(key.clone(), value);
        if let Some(replaced) = replaced {
            self.lifecycle.on_evict(left, key, replaced);
        }
    }

    pub(crate) fn drain(&self) -> impl Iterator<Item = (K, V)> + use<K, V, We, B, L> {
        let drained: Vec<_> = self.write().drain().collect();
        drained.into_iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    pub(crate) fn weight(&self) -> u64 {
        let entries = self.read();
        entries
            .iter()
            .map(|(key, value)| self.weighter.weight(key, value))
            .sum()
    }
}
