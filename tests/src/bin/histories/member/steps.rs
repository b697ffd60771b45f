//! A backend whose steps take time, so that others come in between; it also knows what failed, and can be broken.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_runtime::backend::{
    Ask, Backend, BackendFuture, Fill, Format, HeldLease, Lease, LeaseMode, Stored, TagVersion,
    Token, Versions, WriteEnd,
};
use cache_runtime::{Cache, Key};

use super::random::Random;
use crate::arguments::Broken;
use crate::clock::Moment;
use crate::keys::RowId;

/// A backend that has just failed may be away for as long as this without another sign of it.
const MEMORY_OF_FAILURE: Duration = Duration::from_secs(1);

/// What came of the operations.
#[derive(Debug)]
pub(super) struct Seen {
    /// The last operation that failed or was given up.
    failed: AtomicU64,
    /// Of each row the beginning of the last operation that removed or replaced its value.
    settled: Mutex<HashMap<RowId, Moment>>,
}

impl Seen {
    fn settle(&self, key: &Key, began: Moment) {
        if let Some(row) = row_of(key) {
            let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
            let last = settled.entry(row).or_default();
            *last = began.max(*last);
        }
    }

    fn fail(&self) {
        self.failed.fetch_max(Moment::now().0, Relaxed);
    }

    /// The last failure, if there was one.
    pub(super) fn last_failure(&self) -> Option<Moment> {
        let failed = Moment(self.failed.load(Relaxed));
        (failed != Moment::START).then_some(failed)
    }

    /// Whether an operation failed since then, or not long before.
    fn failed_about(&self, since: Moment) -> bool {
        let failed = self.last_failure();
        failed.is_some_and(|failed| failed >= since.before(MEMORY_OF_FAILURE))
    }

    /// Whether the backend seemed to be away at some moment since then.
    pub(super) fn was_away(&self, cache: &Cache, since: Moment) -> bool {
        // What follows costs something, and without any failure it is never the case.
        self.last_failure().is_some()
            && (self.failed_about(since) || cache.stats().backend.breaker_open)
    }

    /// Whether an operation that began since then has removed or replaced the row's value.
    pub(super) fn is_settled(&self, row: RowId, since: Moment) -> bool {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.get(&row).is_some_and(|&began| began >= since)
    }
}

fn row_of(key: &Key) -> Option<RowId> {
    let (_, number) = key.as_str().rsplit_once(':')?;
    number.parse().ok().map(RowId)
}

/// Notes a failure unless it is told of success: an operation that is given up is dropped.
struct Attempt<'a>(Option<&'a Seen>);

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(seen) = self.0 {
            seen.fail();
        }
    }
}

#[derive(Debug)]
pub(super) struct Steps<B> {
    inner: B,
    random: Random,
    broken: Option<Broken>,
    seen: Arc<Seen>,
}

impl<B: Backend> Steps<B> {
    pub(super) fn new(inner: B, random: Random, broken: Option<Broken>) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen {
            failed: AtomicU64::new(0),
            settled: Mutex::default(),
        });
        let steps = Self {
            inner,
            random,
            broken,
            seen: Arc::clone(&seen),
        };
        (steps, seen)
    }

    fn is_broken(&self, mechanism: Broken) -> bool {
        self.broken == Some(mechanism)
    }

    fn at_once<'a, T: Send + 'a>(
        &'a self,
        operation: impl Future<Output = Result<T, cache_runtime::BackendError>> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        Box::pin(async move {
            let mut attempt = Attempt(Some(&self.seen));
            let answer = operation.await;
            if answer.is_ok() {
                attempt.0 = None;
            }
            answer
        })
    }

    /// Before it and after it others may go first.
    fn step<'a, T: Send + 'a>(
        &'a self,
        operation: impl FnOnce(&'a B) -> BackendFuture<'a, T> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        self.at_once(async move {
            self.random.pause().await;
            let answer = operation(&self.inner).await?;
            self.random.pause().await;
            Ok(answer)
        })
    }

    /// A step that removes or replaces the values of keys.
    fn settling<'a, T: Send + 'a>(
        &'a self,
        keys: &'a [Key],
        operation: impl FnOnce(&'a B) -> BackendFuture<'a, T> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        let began = Moment::now();
        let step = self.step(operation);
        Box::pin(async move {
            let answer = step.await;
            if answer.is_ok() {
                keys.iter().for_each(|key| self.seen.settle(key, began));
            }
            answer
        })
    }
}

impl<B: Backend> Backend for Steps<B> {
    fn format(&self) -> Format {
        self.inner.format()
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn get_now(&self, key: &Key) -> Option<Option<Stored>> {
        self.inner.get_now(key)
    }

    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>> {
        self.at_once(self.inner.get(key))
    }

    fn get_tagged<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
    ) -> BackendFuture<'a, Option<Stored>> {
        self.at_once(self.inner.get_tagged(key, tags))
    }

    fn get_many<'a>(
        &'a self,
        keys: &'a [Key],
        tags: &'a [Key],
    ) -> BackendFuture<'a, Vec<Option<Stored>>> {
        self.at_once(self.inner.get_many(keys, tags))
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        self.step(move |inner| inner.lease(key, tags, token, ttl, mode))
    }

    fn lease_many<'a>(&'a self, asks: &'a [Ask], ttl: Duration) -> BackendFuture<'a, Vec<Lease>> {
        self.step(move |inner| inner.lease_many(asks, ttl))
    }

    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool> {
        self.at_once(self.inner.renew(key, token, ttl))
    }

    fn renew_many<'a>(
        &'a self,
        held: &'a [HeldLease],
        ttl: Duration,
    ) -> BackendFuture<'a, Vec<bool>> {
        self.at_once(self.inner.renew_many(held, ttl))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        if self.is_broken(Broken::LateFill) {
            return self.step(move |inner| inner.put(key, value, keep));
        }
        self.step(move |inner| inner.fill(key, token, value, keep))
    }

    fn fill_many(&self, fills: Vec<Fill>) -> BackendFuture<'_, Vec<bool>> {
        self.step(move |inner| inner.fill_many(fills))
    }

    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()> {
        self.step(move |inner| inner.release(key, token))
    }

    fn release_many<'a>(&'a self, held: &'a [HeldLease]) -> BackendFuture<'a, ()> {
        self.step(move |inner| inner.release_many(held))
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()> {
        let is_lost = self.is_broken(Broken::Invalidation) && self.random.one_in(8);
        // What was kept is delivered soon after the last failure.
        let is_forgotten = self.is_broken(Broken::Backlog) && self.seen.failed_about(Moment::now());
        if is_lost || is_forgotten {
            return Box::pin(async { Ok(()) });
        }
        self.settling(keys, move |inner| inner.invalidate(keys))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Stored, keep: Duration) -> BackendFuture<'a, bool> {
        self.step(move |inner| inner.put(key, value, keep))
    }

    fn begin_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, TagVersion> {
        if self.is_broken(Broken::Intents) {
            return Box::pin(async { Ok(TagVersion::ZERO) });
        }
        self.step(move |inner| inner.begin_write(key, token, ttl))
    }

    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        self.at_once(self.inner.renew_write(key, token, ttl))
    }

    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd> {
        let began = Moment::now();
        let step = self.step(move |inner| inner.end_write(key, token, value));
        Box::pin(async move {
            let answer = step.await;
            if answer.is_ok() {
                self.seen.settle(key, began);
            }
            answer
        })
    }

    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        let keys = std::slice::from_ref(key);
        if self.is_broken(Broken::VersionTest) {
            return self.settling(keys, move |inner| inner.put(key, value, keep));
        }
        self.settling(keys, move |inner| {
            inner.put_if_newer(key, version, value, keep)
        })
    }

    fn versions<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, Versions> {
        self.at_once(self.inner.versions(tags))
    }

    fn invalidate_tags<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, ()> {
        self.step(move |inner| inner.invalidate_tags(tags))
    }

    fn bump_namespace(&self) -> BackendFuture<'_, ()> {
        self.step(|inner| inner.bump_namespace())
    }

    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()> {
        self.inner.wait(key, token, patience)
    }

    fn clear(&self) -> BackendFuture<'_, ()> {
        self.at_once(self.inner.clear())
    }

    fn ping(&self) -> BackendFuture<'_, ()> {
        self.at_once(self.inner.ping())
    }
}
