//! A store that several caches share: to its leases each of them is a process.

use std::sync::Arc;
use std::time::Duration;

use super::log::WriteLog;
use super::{
    Ask, Backend, BackendFuture, Fill, Format, HeldLease, Lease, LeaseMode, Stored, TagVersion,
    Token, Versions, WriteEnd,
};
use crate::key::Key;

/// Two caches on one [`Memory`](super::Memory) stand in a test for two processes on one server.
///
/// ```
/// use std::sync::Arc;
/// use cache_runtime::{Cache, backend::Memory, cached};
///
/// #[cached(key = "square:<n>")]
/// async fn square(n: u64) -> u64 { n * n }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cache_runtime::Error> {
/// let store = Arc::new(Memory::new());
/// let one = Cache::builder().backend(store.clone()).build().await?;
/// let other = Cache::builder().backend(store).build().await?;
/// one.scope(square(7)).await;
/// other.scope(square(7)).await;
/// assert_eq!(other.stats().function(square::SPEC).hits, 1);
/// # Ok(())
/// # }
/// ```
impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn format(&self) -> Format {
        (**self).format()
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn get_now(&self, key: &Key) -> Option<Option<Stored>> {
        (**self).get_now(key)
    }

    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>> {
        (**self).get(key)
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        (**self).lease(key, tags, token, ttl, mode)
    }

    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool> {
        (**self).renew(key, token, ttl)
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        (**self).fill(key, token, value, keep)
    }

    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()> {
        (**self).release(key, token)
    }

    fn get_tagged<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
    ) -> BackendFuture<'a, Option<Stored>> {
        (**self).get_tagged(key, tags)
    }

    fn get_many<'a>(
        &'a self,
        keys: &'a [Key],
        tags: &'a [Key],
    ) -> BackendFuture<'a, Vec<Option<Stored>>> {
        (**self).get_many(keys, tags)
    }

    fn lease_many<'a>(&'a self, asks: &'a [Ask], ttl: Duration) -> BackendFuture<'a, Vec<Lease>> {
        (**self).lease_many(asks, ttl)
    }

    fn renew_many<'a>(
        &'a self,
        held: &'a [HeldLease],
        ttl: Duration,
    ) -> BackendFuture<'a, Vec<bool>> {
        (**self).renew_many(held, ttl)
    }

    fn fill_many(&self, fills: Vec<Fill>) -> BackendFuture<'_, Vec<bool>> {
        (**self).fill_many(fills)
    }

    fn release_many<'a>(&'a self, held: &'a [HeldLease]) -> BackendFuture<'a, ()> {
        (**self).release_many(held)
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()> {
        (**self).invalidate(keys)
    }

    fn put<'a>(&'a self, key: &'a Key, value: Stored, keep: Duration) -> BackendFuture<'a, bool> {
        (**self).put(key, value, keep)
    }

    fn begin_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, TagVersion> {
        (**self).begin_write(key, token, ttl)
    }

    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        (**self).renew_write(key, token, ttl)
    }

    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd> {
        (**self).end_write(key, token, value)
    }

    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        (**self).put_if_newer(key, version, value, keep)
    }

    fn versions<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, Versions> {
        (**self).versions(tags)
    }

    fn invalidate_tags<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, ()> {
        (**self).invalidate_tags(tags)
    }

    fn bump_namespace(&self) -> BackendFuture<'_, ()> {
        (**self).bump_namespace()
    }

    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()> {
        (**self).wait(key, token, patience)
    }

    fn clear(&self) -> BackendFuture<'_, ()> {
        (**self).clear()
    }

    fn ping(&self) -> BackendFuture<'_, ()> {
        (**self).ping()
    }

    fn write_log(&self) -> Option<&dyn WriteLog> {
        (**self).write_log()
    }
}
