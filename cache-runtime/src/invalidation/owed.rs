//! Invalidations that writers owe.

use std::sync::Arc;

use super::keys::Keys;
use super::transaction::Transaction;
use crate::cache::{self, Cache, Inner};
use crate::guard::Delivery;
use crate::mutants::{self, Mutant};

/// An invalidation that is owed from before the body runs until it has been delivered or kept.
#[derive(Debug)]
pub(crate) struct Owed {
    cache: Cache,
    transaction: Option<Arc<Transaction>>,
    pub(crate) keys: Keys,
    /// Whether it is owed only if the body comes to an end.
    only_ok: bool,
    settled: bool,
}

impl Owed {
    /// Notes the keys with the transaction, before the body runs: what it reads after this must not come from the cache.
    pub(crate) fn new(cache: Cache, keys: Keys, only_ok: bool) -> Self {
        let owed = Self {
            cache,
            transaction: cache::transaction(),
            keys,
            only_ok,
            settled: false,
        };
        if !owed.only_ok {
            owed.left_to_transaction();
        }
        owed
    }

    /// Leaves the keys to the transaction, if there is one and it has not ended.
    pub(crate) fn left_to_transaction(&self) -> bool {
        let transaction = self.transaction.as_ref();
        transaction.is_some_and(|transaction| transaction.note(&self.cache, &self.keys))
    }

    pub(crate) async fn settle(mut self) {
        self.keys.dedup();
        if !self.left_to_transaction() {
            // Dropped in here, it is done once more, all of it: what was under way is the guard's affair, and what comes after that is nobody's.
            report(self.cache.inner.invalidate(&self.keys).await);
        }
        self.settled = true;
    }

    /// Nothing is owed any more: what was there has been replaced.
    pub(crate) fn forgive(mut self) {
        self.settled = true;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.settled || self.only_ok || mutants::on(Mutant::NothingInvalidatedAfterDrop) {
            return;
        }
        if self.left_to_transaction() {
            return;
        }
        let (cache, keys) = (self.cache.clone(), self.keys.clone());
        Inner::detached(async move {
            report(cache.inner.invalidate(&keys).await);
        });
    }
}

/// A writer's caller is not told: its write is done, and the invalidation will be.
pub(super) fn report(delivery: Delivery) {
    if let Delivery::Kept(error) = delivery {
        tracing::debug!(%error, "invalidation kept until the backend is back");
    }
}
