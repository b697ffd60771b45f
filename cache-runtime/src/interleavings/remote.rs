//! A store behind a network: requests and answers are under way while other tasks go on, and neither arrives while the network is down.

use std::fmt;

use super::*;
use crate::backend::{BackendFuture, Encoded, Format, SharedValue, TagVersion, Versions, WriteEnd};
use crate::error::{BackendError, BackendErrorKind};
use crate::sync::atomic::AtomicBool;

/// What the tests do to the network, and what they count on it.
#[derive(Default)]
pub(super) struct Network {
    down: AtomicBool,
    probing: AtomicUsize,
    questions: AtomicUsize,
}

impl Network {
    pub(super) fn cut(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    pub(super) fn heal(&self) {
        self.down.store(false, Ordering::SeqCst);
    }

    /// How many questions for the lease have been asked.
    pub(super) fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

/// The store as one process sees it: as bytes, or as values of this process.
pub(super) struct Remote {
    store: Arc<Memory>,
    network: Arc<Network>,
    format: Format,
}

impl Remote {
    pub(super) fn new(store: &Arc<Memory>, network: &Arc<Network>, format: Format) -> Self {
        Self {
            store: Arc::clone(store),
            network: Arc::clone(network),
            format,
        }
    }

    /// The store does it at some moment between the request and the answer. Dropped before, it is not done.
    fn send<'a, T: Send + 'a>(
        &'a self,
        operation: impl FnOnce(&'a Memory) -> BackendFuture<'a, T> + Send + 'a,
    ) -> BackendFuture<'a, T> {
        Box::pin(async move {
            self.arrive().await?;
            let answer = operation(&self.store).await;
            pause().await;
            answer
        })
    }

    async fn arrive(&self) -> Result<(), BackendError> {
        // Twice: who asks polls twice before it waits.
        pause().await;
        pause().await;
        if self.network.down.load(Ordering::SeqCst) {
            let kind = BackendErrorKind::Unavailable;
            return Err(BackendError::new(kind, "the network is down"));
        }
        Ok(())
    }

    /// As the store keeps it.
    fn packed(&self, stored: Stored, keep: Duration) -> Stored {
        match stored {
            Stored::Encoded(entry) => {
                let value: SharedValue = Arc::new(entry.bytes.to_vec());
                Stored::Typed(Typed {
                    value,
                    life: Life::new(keep),
                    basis: entry.basis().map(Arc::new),
                })
            }
            typed @ Stored::Typed(_) => typed,
        }
    }

    fn unpacked(&self, stored: Stored) -> Stored {
        match (self.format, stored) {
            (Format::Encoded, Stored::Typed(typed)) => {
                let bytes = typed.value.downcast_ref::<Vec<u8>>().expect("bytes");
                let bytes = bytes.clone().into();
                Stored::Encoded(Encoded::aged(bytes, typed.life.age()))
            }
            (_, stored) => stored,
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

impl Backend for Remote {
    fn format(&self) -> Format {
        self.format
    }

    fn name(&self) -> &'static str {
        "remote"
    }

    fn get_now(&self, key: &Key) -> Option<Option<Stored>> {
        match self.format {
            Format::Typed => self.store.get_now(key),
            Format::Encoded => None,
        }
    }

    fn get<'a>(&'a self, key: &'a Key) -> BackendFuture<'a, Option<Stored>> {
        Box::pin(async move {
            let found = self.send(|store| store.get(key)).await?;
            Ok(found.map(|stored| self.unpacked(stored)))
        })
    }

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        self.network.questions.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let asked = self.send(move |store| store.lease(key, tags, token, ttl, mode));
            Ok(match asked.await? {
                Lease::Hit(stored) => Lease::Hit(self.unpacked(stored)),
                answer => answer,
            })
        })
    }

    fn renew<'a>(&'a self, key: &'a Key, token: Token, ttl: Duration) -> BackendFuture<'a, bool> {
        self.send(move |store| store.renew(key, token, ttl))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        let value = self.packed(value, keep);
        self.send(move |store| store.fill(key, token, value, keep))
    }

    fn release<'a>(&'a self, key: &'a Key, token: Token) -> BackendFuture<'a, ()> {
        self.send(move |store| store.release(key, token))
    }

    fn invalidate<'a>(&'a self, keys: &'a [Key]) -> BackendFuture<'a, ()> {
        self.send(move |store| store.invalidate(keys))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Stored, keep: Duration) -> BackendFuture<'a, bool> {
        let value = self.packed(value, keep);
        self.send(move |store| store.put(key, value, keep))
    }

    fn begin_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, TagVersion> {
        self.send(move |store| store.begin_write(key, token, ttl))
    }

    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        self.send(move |store| store.renew_write(key, token, ttl))
    }

    fn end_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> BackendFuture<'a, WriteEnd> {
        let value = value.map(|(stored, keep)| (self.packed(stored, keep), keep));
        self.send(move |store| store.end_write(key, token, value))
    }

    fn put_if_newer<'a>(
        &'a self,
        key: &'a Key,
        version: u64,
        value: Stored,
        keep: Duration,
    ) -> BackendFuture<'a, bool> {
        let value = self.packed(value, keep);
        self.send(move |store| store.put_if_newer(key, version, value, keep))
    }

    fn versions<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, Versions> {
        self.send(move |store| store.versions(tags))
    }

    fn invalidate_tags<'a>(&'a self, tags: &'a [Key]) -> BackendFuture<'a, ()> {
        self.send(move |store| store.invalidate_tags(tags))
    }

    fn bump_namespace(&self) -> BackendFuture<'_, ()> {
        self.send(|store| store.bump_namespace())
    }

    /// As the backends over a network do it: who waits is told when it has ended, and that takes its time too.
    fn wait<'a>(&'a self, key: &'a Key, token: Token, patience: Duration) -> BackendFuture<'a, ()> {
        self.send(move |store| store.wait(key, token, patience))
    }

    fn clear(&self) -> BackendFuture<'_, ()> {
        self.send(|store| store.clear())
    }

    fn ping(&self) -> BackendFuture<'_, ()> {
        Box::pin(async move {
            let before = self.network.probing.fetch_add(1, Ordering::SeqCst);
            let _probing = Probing(&self.network);
            assert_eq!(before, 0, "one probe at a time");
            self.send(|store| store.ping()).await
        })
    }
}

struct Probing<'a>(&'a Network);

impl Drop for Probing<'_> {
    fn drop(&mut self) {
        self.0.probing.fetch_sub(1, Ordering::SeqCst);
    }
}
