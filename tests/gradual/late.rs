//! A new backend that carries an operation out when its caller has long given up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_runtime::Key;
use cache_runtime::backend::{
    Ask, Backend, BackendFuture, Fill, Gradual, Lease, LeaseMode, Life, Memory, Stored, Token,
    Typed,
};
use tests::within;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Leases are granted once there is a permit for each, whether or not anybody still waits for the answer.
#[derive(Debug, Clone)]
struct Late {
    inner: Arc<Memory>,
    permits: Arc<Semaphore>,
    asked: Arc<Mutex<Vec<JoinHandle<()>>>>,
    /// So many renewals of a write are late.
    late_renewals: Arc<AtomicUsize>,
}

impl Late {
    fn new() -> Self {
        Self {
            inner: Arc::default(),
            permits: Arc::new(Semaphore::new(0)),
            asked: Arc::default(),
            late_renewals: Arc::default(),
        }
    }

    /// Carries out what was asked for up to now.
    async fn catch_up(&self) -> usize {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        self.permits.add_permits(asked.len());
        let count = asked.len();
        for lease in asked {
            within(lease).await.unwrap();
        }
        count
    }
}

impl Backend for Late {
    tests::forward!(
        format,
        get,
        renew,
        fill,
        release,
        invalidate,
        put,
        begin_write,
        end_write,
        put_if_newer,
        versions,
        invalidate_tags,
        bump_namespace,
        wait,
        clear,
        ping,
    );

    fn lease<'a>(
        &'a self,
        key: &'a Key,
        _: &'a [Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> BackendFuture<'a, Lease> {
        let (this, key) = (self.clone(), key.clone());
        let late = tokio::spawn(async move {
            this.permits.acquire().await.unwrap().forget();
            this.inner.lease(&key, &[], token, ttl, mode).await.unwrap();
        });
        self.asked.lock().unwrap().push(late);
        Box::pin(std::future::pending())
    }

    fn lease_many<'a>(&'a self, asks: &'a [Ask], ttl: Duration) -> BackendFuture<'a, Vec<Lease>> {
        for ask in asks {
            drop(self.lease(&ask.key, &[], ask.token, ttl, ask.mode));
        }
        Box::pin(std::future::pending())
    }

    fn name(&self) -> &'static str {
        "late"
    }

    fn renew_write<'a>(
        &'a self,
        key: &'a Key,
        token: Token,
        ttl: Duration,
    ) -> BackendFuture<'a, bool> {
        let less = |late: usize| late.checked_sub(1);
        let (order, late) = (Ordering::SeqCst, &self.late_renewals);
        if late.fetch_update(order, order, less).is_ok() {
            return Box::pin(std::future::pending());
        }
        self.inner.renew_write(key, token, ttl)
    }
}

fn value(n: u64) -> Stored {
    Stored::Typed(Typed::new(Arc::new(n), Life::new(Duration::from_secs(600))))
}

const TTL: Duration = Duration::from_secs(60);

/// What was loaded before an invalidation is not stored after it, by a lease that the new backend grants after it.
#[tokio::test]
async fn a_lease_that_is_granted_late_stores_nothing_from_before_an_invalidation() {
    for many in [false, true] {
        for invalidated in [false, true] {
            let new = Late::new();
            let builder = Gradual::builder(Memory::new(), new.clone()).settle(Duration::ZERO);
            let builder = builder.patience(Duration::from_millis(5));
            let (backend, rollout) = builder.build().unwrap();
            rollout.grow_to(1.0).await.unwrap();
            let (key, token) = (Key::from("row:1"), Token::fresh());
            let mode = LeaseMode::IfMissing;
            let lease = if many {
                let ask = Ask {
                    key: key.clone(),
                    tags: std::iter::empty().collect(),
                    token,
                    mode,
                };
                backend.lease_many(&[ask], TTL).await.unwrap().remove(0)
            } else {
                backend.lease(&key, &[], token, TTL, mode).await.unwrap()
            };
            assert!(matches!(lease, Lease::Granted(_)), "by the old backend");
            if invalidated {
                backend
                    .invalidate(std::slice::from_ref(&key))
                    .await
                    .unwrap();
            }
            assert_eq!(new.catch_up().await, 1);
            let stored = if many {
                let fill = Fill {
                    key: key.clone(),
                    token,
                    value: value(1),
                    keep: TTL,
                };
                backend.fill_many(vec![fill]).await.unwrap().remove(0)
            } else {
                backend.fill(&key, token, value(1), TTL).await.unwrap()
            };
            assert_eq!(stored, !invalidated, "many: {many}");
            assert!(new.get(&key).await.unwrap().is_none(), "many: {many}");
            assert_eq!(rollout.status().share, 1.0);
        }
    }
}

#[tokio::test]
async fn one_late_renewal_of_a_write_ends_no_roll_out_and_two_are_told_of() {
    for (late, ended) in [(1, false), (2, true)] {
        let new = Late::new();
        let builder = Gradual::builder(Memory::new(), new.clone()).settle(Duration::ZERO);
        let builder = builder.patience(Duration::from_millis(5));
        let (backend, rollout) = builder.build().unwrap();
        rollout.grow_to(1.0).await.unwrap();
        let (key, token) = (Key::from("row:1"), Token::fresh());
        backend.begin_write(&key, token, TTL).await.unwrap();
        new.late_renewals.store(late, Ordering::SeqCst);
        assert!(backend.renew_write(&key, token, TTL).await.unwrap());
        let status = rollout.status();
        assert_eq!(status.endings, u64::from(ended));
        assert_eq!(status.share, if ended { 0.0 } else { 1.0 });
        let trouble = status.trouble.unwrap_or_default();
        assert_eq!(trouble.contains("did not renew"), ended, "{trouble}");
    }
}
