//! Invalidations of tags that cannot be delivered, or not yet: the backend is away, or a transaction is under way.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache_runtime::backend::Memory;
use cache_runtime::testing::{Fault, Faulty};
use cache_runtime::{Cache, Error, invalidates};
use tests::{DEADLINE, eventually, on_each_backend, within};

use super::{Db, change_all, of_argument, of_result};

async fn faulty() -> (Cache, Cache, cache_runtime::testing::Faults) {
    let store = Arc::new(Memory::new());
    let (backend, faults) = Faulty::new(store.clone());
    let one = Cache::builder().backend(backend).build().await.unwrap();
    let other = Cache::builder().backend(store).build().await.unwrap();
    (one, other, faults)
}

async fn recovered(cache: &Cache) {
    eventually(DEADLINE, async || !cache.stats().backend.breaker_open).await;
}

#[tokio::test]
async fn an_invalidation_of_a_tag_that_could_not_be_delivered_is_kept() {
    for fault in [Fault::Down, Fault::Hung, Fault::Refusing] {
        let (one, other, faults) = faulty().await;
        let db = Db::open();
        one.scope(of_result(&db, 1)).await;
        one.scope(of_argument(&db, 7, 2)).await;
        faults.set(fault);
        let version = within(one.scope(change_all(&db, 0))).await;
        let kept = one.invalidate_tag("org:7").await;
        assert!(matches!(kept, Err(Error::Kept(_))), "{kept:?}");
        assert_eq!(one.stats().backend.undelivered_invalidations, 2);
        // This process does not serve it, whether the backend is there or not.
        assert_eq!(one.scope(of_result(&db, 1)).await.version, version);
        faults.heal();
        recovered(&one).await;
        assert_eq!(other.scope(of_result(&db, 1)).await.version, version);
        assert_eq!(other.scope(of_argument(&db, 7, 2)).await.version, version);
    }
}

#[tokio::test]
async fn a_bump_of_the_namespace_that_could_not_be_delivered_is_kept() {
    let (one, other, faults) = faulty().await;
    let db = Db::open();
    one.scope(of_result(&db, 1)).await;
    faults.set(Fault::Down);
    db.change();
    assert!(matches!(one.bump_namespace().await, Err(Error::Kept(_))));
    assert_eq!(one.scope(of_result(&db, 1)).await.version, 1);
    faults.heal();
    recovered(&one).await;
    assert_eq!(other.scope(of_result(&db, 1)).await.version, 1);
}

#[invalidates("user:<id>", tags("org:<org>"))]
async fn change_one(db: &Db, id: u64, org: u32) -> u64 {
    let _ = (id, org);
    db.change()
}

/// A writer owes its keys and its tags. Dropped between the two it owes them still.
#[tokio::test]
async fn a_writer_that_is_dropped_during_its_invalidation_invalidates_all_of_it() {
    let (one, other, faults) = faulty().await;
    let db = Db::open();
    one.scope(of_result(&db, 1)).await;
    faults.set(Fault::Slow(Duration::from_millis(20)));
    {
        let mut writing = pin!(one.scope(change_one(&db, 5, 0)));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(writing.as_mut().poll(&mut cx).is_pending());
        assert_eq!(db.version.load(SeqCst), 1, "the body has run");
    }
    eventually(DEADLINE, async || {
        other.scope(of_result(&db, 1)).await.version == 1
    })
    .await;
}

/// While the backend is away callers join loads of their own process, but none from before its own invalidation of any tag.
#[tokio::test]
async fn without_a_backend_nobody_joins_a_load_from_before_the_process_invalidated_a_tag() {
    let (one, _, faults) = faulty().await;
    faults.set(Fault::Down);
    // Opens the breaker.
    let _ = one.invalidate("anything").await;
    let db = Db::default();
    let (first, late, ()) = within(async {
        tokio::join!(
            one.scope(of_result(&db, 1)),
            async {
                db.read.arrived(1).await;
                let _ = one.scope(change_all(&db, 0)).await;
                one.scope(of_result(&db, 1)).await
            },
            async {
                db.read.arrived(2).await;
                db.read.open();
            },
        )
    })
    .await;
    assert_eq!((first.version, late.version), (0, 1));
}

#[tokio::test]
async fn a_transaction_invalidates_its_tags_when_it_has_ended() {
    on_each_backend(async |cache| {
        let db = Db::open();
        of_result(&db, 1).await;
        of_argument(&db, 7, 2).await;
        cache
            .in_transaction(async {
                change_all(&db, 0).await;
                // It reads what it has written: whose a tag is cannot be told, so it reads nothing from the cache.
                assert_eq!(of_result(&db, 1).await.version, 1);
                assert_eq!(of_argument(&db, 7, 2).await.version, 1);
                let outside = tokio::spawn({
                    let (cache, db) = (cache.clone(), db.clone());
                    async move { cache.scope(of_result(&db, 1)).await }
                });
                assert_eq!(outside.await.unwrap().version, 0, "not before the commit");
            })
            .await;
        assert_eq!(of_result(&db, 1).await.version, 1);
    })
    .await;
}
