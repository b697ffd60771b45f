//! Operations on many keys, in parts: the guard bounds each of them by itself.

use std::sync::Arc;
use std::time::Duration;

use super::{Budget, DELIVERY_BATCH, Guarded};
use crate::backend::{Ask, Fill, HeldLease, Lease, Stored};
use crate::error::BackendError;
use crate::key::Key;

impl Guarded {
    /// In parts, each of the further ones with a time of its own: a healthy backend needs longer for thousands of keys than for one. A
    /// part that fails is the last.
    pub(crate) async fn get_many(
        self: &Arc<Self>,
        keys: &[Key],
        tags: &[Key],
        budget: &mut Budget,
    ) -> Result<Vec<Option<Stored>>, BackendError> {
        let mut found = Vec::with_capacity(keys.len());
        for (number, part) in keys.chunks(DELIVERY_BATCH).enumerate() {
            if number > 0 {
                *budget = self.budget();
            }
            found.extend(
                self.ask(budget, |backend| backend.get_many(part, tags))
                    .await?,
            );
        }
        // What comes next has not waited yet, and reading thousands of values takes its time too.
        if keys.len() > DELIVERY_BATCH {
            *budget = self.budget();
        }
        Ok(found)
    }

    /// As [`get_many`](Self::get_many).
    pub(crate) async fn lease_many(
        self: &Arc<Self>,
        asks: &[Ask],
        ttl: Duration,
        budget: &mut Budget,
    ) -> Result<Vec<Lease>, BackendError> {
        let mut answers = Vec::with_capacity(asks.len());
        for (number, part) in asks.chunks(DELIVERY_BATCH).enumerate() {
            if number > 0 {
                *budget = self.budget();
            }
            answers.extend(
                self.ask(budget, |backend| backend.lease_many(part, ttl))
                    .await?,
            );
        }
        Ok(answers)
    }

    /// As [`get_many`](Self::get_many).
    pub(crate) async fn renew_many(
        self: &Arc<Self>,
        held: &[HeldLease],
        ttl: Duration,
    ) -> Result<Vec<bool>, BackendError> {
        let mut stand = Vec::with_capacity(held.len());
        for part in held.chunks(DELIVERY_BATCH) {
            let mut budget = self.budget();
            stand.extend(
                self.ask(&mut budget, |backend| backend.renew_many(part, ttl))
                    .await?,
            );
        }
        Ok(stand)
    }

    /// As [`get_many`](Self::get_many).
    pub(crate) async fn fill_many(
        self: &Arc<Self>,
        mut fills: Vec<Fill>,
    ) -> Result<Vec<bool>, BackendError> {
        let mut stored = Vec::with_capacity(fills.len());
        while !fills.is_empty() {
            let rest = fills.split_off(fills.len().min(DELIVERY_BATCH));
            let part = std::mem::replace(&mut fills, rest);
            let mut budget = self.budget();
            stored.extend(
                self.ask(&mut budget, |backend| backend.fill_many(part))
                    .await?,
            );
        }
        Ok(stored)
    }

    /// As [`get_many`](Self::get_many).
    pub(crate) async fn release_many(
        self: &Arc<Self>,
        held: &[HeldLease],
    ) -> Result<(), BackendError> {
        for part in held.chunks(DELIVERY_BATCH) {
            let mut budget = self.budget();
            self.ask(&mut budget, |backend| backend.release_many(part))
                .await?;
        }
        Ok(())
    }
}
