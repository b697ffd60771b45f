//! Writes without an intent: those with versions, eventual ones, and those that a transaction ends.

use std::future::Future;
use std::slice;
use std::time::Duration;

use super::{Call, Written};
use crate::backend::{Life, Stored, TagVersion};
use crate::error::BackendError;
use crate::invalidation::Keys;
use crate::invalidation::owed::Owed;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::observe::Count;
use crate::pattern::entries;
use crate::shape::Shape;

/// What a value has to be newer than to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// Nothing.
    Any,
    /// What was stored before it, by the row's version.
    Version(u64),
}

/// From when a value is.
#[derive(Debug, Clone, Copy)]
enum Since {
    /// From when it is stored.
    Stored,
    /// From after this moment.
    Version(TagVersion),
    /// It cannot be told, so it is not stored.
    Unknown,
}

impl<S, W> Call<S, W>
where
    S: Shape,
    W: Written<S>,
{
    /// Runs the body and leaves its key to the transaction.
    pub(super) async fn run_noted<F>(self, key: Key, body: F) -> S::Output
    where
        F: Future<Output = S::Output>,
    {
        let owed = Owed::new(self.cache.clone(), Keys::from_iter([key]), false);
        let output = self.run(body).await;
        owed.settle().await;
        output
    }

    /// Runs the body, and stores what it wrote in place of the invalidation that it owes.
    pub(super) async fn run_unannounced<F>(
        self,
        key: Option<Key>,
        place: impl FnOnce(&S::Value) -> (Option<Key>, Order),
        body: F,
    ) -> S::Output
    where
        F: Future<Output = S::Output>,
    {
        let keys = key.iter().cloned().collect();
        let mut owed = Owed::new(self.cache.clone(), keys, false);
        let since = self.tags_now().await;
        let output = self.run(body).await;
        let Some((of_result, order)) = self.shape.peek(&output).map(place) else {
            owed.settle().await;
            return output;
        };
        if let Some(key) = &of_result {
            owed.keys.push(key.clone());
        }
        match key.or(of_result) {
            Some(key) if !owed.left_to_transaction() => {
                let value = match since {
                    Since::Unknown => None,
                    Since::Stored => self.entry(&output, None),
                    Since::Version(since) => self.entry(&output, Some(since)),
                };
                self.store(owed, &key, value, order).await;
            }
            _ => owed.settle().await,
        }
        output
    }

    /// What the clock of the tags says before the body runs. Nobody asks where there are no tags: the row's own order decides then.
    async fn tags_now(&self) -> Since {
        if self.spec.tag_templates().is_empty() {
            return Since::Stored;
        }
        match self.cache.inner.guarded.tags_now().await {
            Ok(now) => Since::Version(now),
            Err(error) => {
                self.function().counters.one(Count::Errors);
                tracing::debug!(function = self.spec.name(), %error, "what is written will not be stored");
                Since::Unknown
            }
        }
    }

    async fn store(&self, owed: Owed, key: &Key, value: Option<(Stored, Duration)>, order: Order) {
        let inner = &self.cache.inner;
        inner.epochs.advance(slice::from_ref(key));
        inner.tell_regions_of(slice::from_ref(key));
        let answer = match (value, order) {
            (Some((stored, keep)), Order::Any) => inner.guarded.put(key, stored, keep).await,
            (Some((stored, keep)), Order::Version(version)) => {
                inner.guarded.put_if_newer(key, version, stored, keep).await
            }
            (None, Order::Version(version)) => match self.raise_fence(key, version).await {
                Some(answer) => answer,
                None => return owed.settle().await,
            },
            (None, Order::Any) => return owed.settle().await,
        };
        match answer {
            Ok(stored) => {
                owed.forgive();
                if !stored {
                    self.function().counters.one(Count::RejectedFills);
                }
            }
            Err(error) => {
                self.failed(key, &error);
                // A store that was lost may yet be carried out, even after this, if it waits in a connection that has been given up. With a version it
                // then replaces nothing newer, unless the store of that was lost too; of what an `eventual` writer stores nothing is promised.
                owed.settle().await;
            }
        }
    }

    /// Stores, for no time at all, that there is no value: of what is not to be stored the version still keeps older values out. `None` if
    /// no entry can be written.
    async fn raise_fence(&self, key: &Key, version: u64) -> Option<Result<bool, BackendError>> {
        if mutants::on(Mutant::UnstoredVersionRaisesNoFence) {
            return None;
        }
        let inner = &*self.cache.inner;
        let life = Life::new(Duration::ZERO);
        let shape = self.written.shape();
        let nothing = entries::write(shape, inner, self.function(), None, life, None)?;
        let newer = inner
            .guarded
            .put_if_newer(key, version, nothing, Duration::ZERO);
        Some(newer.await)
    }
}
