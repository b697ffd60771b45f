//! A backend that fails when it is told to.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::backend::log::WriteLog;
use crate::backend::{
    Ask, Backend, BackendFuture, Fill, Format, HeldLease, Lease, LeaseMode, Stored, TagVersion,
    Token, Versions, WriteEnd,
};
use crate::error::{BackendError, BackendErrorKind};
use crate::key::Key;

/// What a [`Faulty`] backend does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Fails at once, as without a connection.
    Down,
    /// Never answers.
    Hung,
    /// Answers, after this long.
    Slow(Duration),
    /// Fails at once, as a server that refuses the command.
    Refusing,
}

/// Turns the faults of a [`Faulty`] backend on and off.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    /// From now on every operation meets this fault.
    pub fn set(&self, fault: Fault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// From now on operations work again.
    pub fn heal(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn now(&self) -> Option<Fault> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another backend, with faults that a test turns on and off.
///
/// ```
/// use cache_runtime::{Cache, backend::Memory, cached, testing::{Fault, Faulty}};
///
/// #[cached(key = "square:<n>")]
/// async fn square(n: u64) -> u64 { n * n }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cache_runtime::Error> {
/// let (backend, faults) = Faulty::new(Memory::new());
/// let cache = Cache::builder().backend(backend).build().await?;
/// faults.set(Fault::Down);
/// // The cache is away; the function is not.
/// assert_eq!(cache.scope(square(7)).await, 49);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Faulty<B> {
    inner: B,
    faults: Faults,
}

impl<B: Backend> Faulty<B> {
    /// Wraps a backend; the second part turns its faults on.
    pub fn new(inner: B) -> (Self, Faults) {
        let faults = Faults::default();
        (
            Self {
                inner,
                faults: faults.clone(),
            },
            faults,
        )
    }

    /// The backend behind the faults.
    pub(super) fn inner(&self) -> &B {
        &self.inner
    }

    /// Meets the fault in force, and then does the operation if the fault lets it.
    pub(super) fn meet<'a, T: Send + 'a>(
        &'a self,
        operation: impl FnOnce(&'a B) -> BackendFuture<'a, T> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        Box::pin(async move {
            match self.faults.now() {
                None => {}
                Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
                Some(Fault::Hung) => pending().await,
                Some(Fault::Down) => {
                    return Err(BackendError::new(
                        BackendErrorKind::Unavailable,
                        "fault: down",
                    ));
                }
                Some(Fault::Refusing) => {
                    return Err(BackendError::new(
                        BackendErrorKind::Rejected,
                        "fault: refusing",
                    ));
                }
            }
            operation(&self.inner).await
        })
    }
}

impl<B: Backend> Backend for Faulty<B> {
    fn format(&self) -> Format {
        self.inner.format()
    }

    fn name(&self) -> &'static str {
        "faulty"
    }

    fn get_now(&self, key: &Key) -> Option<Option<Stored>> {
        // With a fault in force the answer must wait for it, so it is not to be had now.
        if self.faults.now().is_some() {
            None
        } else {
            self.inner.get_now(key)
        }
    }

    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>> {
        self.meet(move |inner| inner.get(key))
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        self.meet(move |inner| inner.lease(key, tags, token, ttl, mode))
    }

    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool> {
        self.meet(move |inner| inner.renew(key, token, ttl))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        self.meet(move |inner| inner.fill(key, token, value, ttl))
    }

    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()> {
        self.meet(move |inner| inner.release(key, token))
    }

    fn get_tagged<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
    ) -> BackendFuture<'a, Option<Stored>> {
        self.meet(move |inner| inner.get_tagged(key, tags))
    }

    fn get_many<'a>(
        &'a self,
        keys: &'a [Key],
        tags: &'a [Key],
    ) -> BackendFuture<'a, Vec<Option<Stored>>> {
        self.meet(move |inner| inner.get_many(keys, tags))
    }

    fn lease_many<'a>(&'a self, asks: &'a [Ask], ttl: Duration) -> BackendFuture<'a, Vec<Lease>> {
        self.meet(move |inner| inner.lease_many(asks, ttl))
    }

    fn renew_many<'a>(
        &'a self,
        held: &'a [HeldLease],
        ttl: Duration,
    ) -> BackendFuture<'a, Vec<bool>> {
        self.meet(move |inner| inner.renew_many(held, ttl))
    }

    fn fill_many(&self, fills: Vec<Fill>) -> BackendFuture<'_, Vec<bool>> {
        self.meet(move |inner| inner.fill_many(fills))
    }

    fn release_many<'a>(&'a self, held: &'a [HeldLease]) -> BackendFuture<'a, ()> {
        self.meet(move |inner| inner.release_many(held))
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()> {
        self.meet(move |inner| inner.invalidate(keys))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Stored, ttl: Duration) -> BackendFuture<'a, bool> {
        self.meet(move |inner| inner.put(key, value, ttl))
    }

    fn begin_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, TagVersion> {
        self.meet(move |inner| inner.begin_write(key, token, ttl))
    }

    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        self.meet(move |inner| inner.renew_write(key, token, ttl))
    }

    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd> {
        self.meet(move |inner| inner.end_write(key, token, value))
    }

    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        self.meet(move |inner| inner.put_if_newer(key, version, value, ttl))
    }

    fn versions<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, Versions> {
        self.meet(move |inner| inner.versions(tags))
    }

    fn invalidate_tags<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, ()> {
        self.meet(move |inner| inner.invalidate_tags(tags))
    }

    fn bump_namespace(&self) -> BackendFuture<'_, ()> {
        self.meet(|inner| inner.bump_namespace())
    }

    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()> {
        self.meet(move |inner| inner.wait(key, token, patience))
    }

    fn clear(&self) -> BackendFuture<'_, ()> {
        self.meet(|inner| inner.clear())
    }

    fn ping(&self) -> BackendFuture<'_, ()> {
        self.meet(|inner| inner.ping())
    }

    fn write_log(&self) -> Option<&dyn WriteLog> {
        self.log()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
