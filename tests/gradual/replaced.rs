//! Values that take the place of older ones, of which the other backend may have one too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_runtime::backend::{
    Ask, Backend, Fill, Gradual, Lease, LeaseMode, Life, Memory, Stored, Token, Typed,
};
use cache_runtime::{Key, cached};

use super::{Stores, patient};

#[cached(key = "counter:<n>", ttl = 600)]
async fn read(counter: &AtomicU64, n: u64) -> u64 {
    let _ = n;
    counter.load(Ordering::SeqCst)
}

/// The share is changed and changed back between a refresh and the read after it.
#[tokio::test]
async fn a_refresh_is_seen_at_every_share() {
    for (before, after) in [(0.0, 1.0), (1.0, 0.0)] {
        let stores = Stores::default();
        let host = stores.host().await;
        let counter = AtomicU64::new(1);
        host.rollout.grow_to(before).await.unwrap();
        assert_eq!(host.cache.scope(read(&counter, 1)).await, 1);
        counter.store(2, Ordering::SeqCst);
        host.rollout.grow_to(after).await.unwrap();
        assert_eq!(host.cache.scope(read::refresh(&counter, 1)).await, 2);
        assert_eq!(host.cache.scope(read(&counter, 1)).await, 2);
        host.rollout.grow_to(before).await.unwrap();
        assert_eq!(
            host.cache.scope(read(&counter, 1)).await,
            2,
            "refreshed at {after}, read at {before}"
        );
    }
}

const TTL: Duration = Duration::from_secs(60);

fn value(n: u64) -> Stored {
    Stored::Typed(Typed::new(Arc::new(n), Life::new(TTL)))
}

/// Stores a new value in place of what there is, under a lease of this mode.
async fn replace(backend: &Gradual, key: &Key, mode: LeaseMode, many: bool) {
    let token = Token::fresh();
    let (lease, stored) = if many {
        let ask = Ask {
            key: key.clone(),
            tags: std::iter::empty().collect(),
            token,
            mode,
        };
        let lease = backend.lease_many(&[ask], TTL).await.unwrap().remove(0);
        let fill = Fill {
            key: key.clone(),
            token,
            value: value(2),
            keep: TTL,
        };
        (lease, backend.fill_many(vec![fill]).await.unwrap()[0])
    } else {
        let lease = backend.lease(key, &[], token, TTL, mode).await.unwrap();
        let stored = backend.fill(key, token, value(2), TTL).await.unwrap();
        (lease, stored)
    };
    assert!(matches!(lease, Lease::Granted(_)) && stored);
}

/// What is only missing at the one backend takes nothing from the other: there it is as good as it was, and is needed when all keys go back.
#[tokio::test]
async fn a_value_in_place_of_another_is_the_only_one_and_one_that_was_missing_is_not() {
    let key = Key::from("row:1");
    for share in [0.0, 1.0] {
        for many in [false, true] {
            for mode in ["missing", "still", "refresh"] {
                let (old, new) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
                let (backend, rollout) = patient(Gradual::builder(old.clone(), new.clone()))
                    .build()
                    .unwrap();
                rollout.grow_to(share).await.unwrap();
                let (here, there) = if share == 0.0 { (old, new) } else { (new, old) };
                there.put(&key, value(1), TTL).await.unwrap();
                let mode = match mode {
                    "missing" => LeaseMode::IfMissing,
                    "refresh" => LeaseMode::Refresh,
                    _ => {
                        here.put(&key, value(1), TTL).await.unwrap();
                        let stored = here.get(&key).await.unwrap().unwrap();
                        LeaseMode::IfStill(stored.mark())
                    }
                };
                replace(&backend, &key, mode, many).await;
                let left = there.get(&key).await.unwrap().is_some();
                assert_eq!(
                    left,
                    mode == LeaseMode::IfMissing,
                    "{mode:?} at {share}, many: {many}"
                );
                assert!(backend.get(&key).await.unwrap().is_some());
            }
        }
    }
}
