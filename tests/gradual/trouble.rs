//! A new backend that fails, and writes that it does not hear of.

use std::time::Duration;

use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Backend, Encoded, Gradual, Life, Memory, Stored, Typed};
use cache_runtime::testing::{Fault, Faulty};
use cache_runtime::{Cache, Key, cached};
use tests::{DEADLINE, Gate, Proxy, RedisServer, eventually, within};

use super::{Stores, has, kept, number};

/// The process that cannot reach the new backend tells the old one, and the one that can asks it.
#[tokio::test]
async fn an_invalidation_that_the_new_backend_does_not_hear_of_is_seen_by_every_process() {
    for fault in [Fault::Down, Fault::Refusing] {
        let stores = Stores::default();
        let (writer, reader) = (stores.host().await, stores.host().await);
        writer.rollout.grow_to(1.0).await.unwrap();
        reader.at(1.0).await;
        reader.cache.scope(number(1)).await;
        assert!(has(&stores.new, "number:1").await);
        writer.faults.set(fault);
        writer.cache.scope(number::invalidate(1)).await.unwrap();
        // It still has the value; nobody is given it.
        assert!(has(&stores.new, "number:1").await);
        reader.cache.scope(number(1)).await;
        let stats = reader.cache.stats().function(number::SPEC);
        assert_eq!((stats.loads, stats.hits), (2, 0), "{fault:?}");
        // And when it is used again, it has been emptied.
        writer.faults.heal();
        eventually(DEADLINE, async || reader.rollout.grow_to(1.0).await.is_ok()).await;
        assert!(!has(&stores.new, "number:1").await);
    }
}

/// So that a process that is cut off from the new backend cannot be overtaken by one that begins with it anew.
#[tokio::test]
async fn a_roll_out_cannot_begin_beside_an_invalidation_that_the_new_backend_does_not_hear_of() {
    let stores = Stores::default();
    let cut_off = stores.host().await;
    cut_off.faults.set(Fault::Down);
    let (new, slow) = Faulty::new(stores.new.clone());
    let (_backend, rollout) = Gradual::builder(stores.old.clone(), new)
        .settle(Duration::ZERO)
        .build()
        .unwrap();
    slow.set(Fault::Slow(Duration::from_millis(300)));
    let growing = tokio::spawn({
        let rollout = rollout.clone();
        async move { rollout.grow_to(1.0).await }
    });
    while !growing.is_finished() {
        cut_off.cache.scope(number::invalidate(1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(growing.await.unwrap().is_err());
    assert_eq!(rollout.status().share, 0.0);
}

#[tokio::test]
async fn a_new_backend_that_fails_costs_hits_and_neither_calls_nor_the_cache() {
    for fault in [Fault::Down, Fault::Hung] {
        let stores = Stores::default();
        let (new, faults) = Faulty::new(stores.new.clone());
        let builder = Gradual::builder(stores.old.clone(), new).settle(Duration::ZERO);
        let (backend, rollout) = builder.patience(Duration::from_millis(5)).build().unwrap();
        let cache = Cache::builder()
            .backend(backend)
            .operation_timeout(Duration::from_secs(5));
        let cache = cache.build().await.unwrap();
        rollout.grow_to(1.0).await.unwrap();
        let read_all = || {
            cache.scope(async {
                for n in 0..100 {
                    assert_eq!(number(n).await, n);
                }
            })
        };
        read_all().await;
        faults.set(fault);
        within(read_all()).await;
        read_all().await;
        assert_eq!(rollout.status().share, 0.0, "back at once");
        let trouble = rollout.status().trouble.unwrap();
        assert!(trouble.contains("in a row"), "{trouble}");
        let stats = cache.stats();
        assert_eq!(
            stats.function(number::SPEC).loads,
            200,
            "one more for each key, in the old backend"
        );
        assert!(!stats.backend.breaker_open && stats.backend.breaker_openings == 0);
        assert_eq!(kept(&stores, 100).await.0, 100);
    }
}

#[cached(key = "slow:<n>", ttl = 600)]
async fn load_slowly(gate: &Gate, n: u64) -> u64 {
    gate.pass().await;
    n
}

/// A load that began at the old backend when its key moved, and is over when it may not be stored any more.
#[tokio::test]
async fn a_load_is_stored_where_its_lease_is_and_not_after_an_invalidation() {
    for (before, after) in [(0.0, 1.0), (1.0, 0.0)] {
        for invalidated in [false, true] {
            let stores = Stores::default();
            let host = stores.host().await;
            host.rollout.grow_to(before).await.unwrap();
            let gate = Gate::new();
            let load = tokio::spawn({
                let (cache, gate) = (host.cache.clone(), gate.clone());
                async move { cache.scope(load_slowly(&gate, 1)).await }
            });
            gate.arrived(1).await;
            host.rollout.grow_to(after).await.unwrap();
            if invalidated {
                host.cache.scope(load_slowly::invalidate(1)).await.unwrap();
            }
            gate.open();
            assert_eq!(within(load).await.unwrap(), 1);
            let kept = (
                has(&stores.old, "slow:1").await,
                has(&stores.new, "slow:1").await,
            );
            let expected = match invalidated {
                true => (false, false),
                false => (before == 0.0, before == 1.0),
            };
            assert_eq!(kept, expected, "from {before} to {after}");
            assert_eq!(host.cache.scope(load_slowly(&gate, 1)).await, 1);
        }
    }
}

fn value(n: u64) -> Stored {
    let life = Life::new(Duration::from_secs(60));
    Stored::Typed(Typed::new(std::sync::Arc::new(n), life))
}

async fn found(backend: &dyn Backend, key: &Key) -> Option<u64> {
    match backend.get(key).await.unwrap()? {
        Stored::Typed(typed) => typed.value.downcast_ref().copied(),
        Stored::Encoded(_) => None,
    }
}

/// The new backend has never seen the newer version: the old one decides.
#[tokio::test]
async fn an_older_version_is_kept_out_of_the_new_backend_too() {
    let (old, new) = (std::sync::Arc::new(Memory::new()), Memory::new());
    let key = Key::from("row:1");
    let kept = Duration::from_secs(60);
    old.put_if_newer(&key, 10, value(10), kept).await.unwrap();
    let (backend, rollout) = super::patient(Gradual::builder(old, new)).build().unwrap();
    rollout.grow_to(1.0).await.unwrap();
    assert!(!backend.put_if_newer(&key, 9, value(9), kept).await.unwrap());
    assert_eq!(found(&backend, &key).await, None);
    assert!(
        backend
            .put_if_newer(&key, 11, value(11), kept)
            .await
            .unwrap()
    );
    assert_eq!(found(&backend, &key).await, Some(11));
    // And back: the old one has heard of it.
    rollout.grow_to(0.0).await.unwrap();
    assert!(
        !backend
            .put_if_newer(&key, 10, value(10), kept)
            .await
            .unwrap()
    );
    assert_eq!(found(&backend, &key).await, None);
}

/// A read that asks the new backend before it is emptied, and for the permit after it is used again. What it was told is from before, and the permit is another
/// one.
#[tokio::test]
async fn an_answer_from_before_a_new_beginning_is_not_used() {
    let (old, new) = (RedisServer::start().await, RedisServer::start().await);
    let connect = async |url: String| {
        let redis = Redis::from_url(&url).unwrap();
        redis.connect().await.unwrap()
    };
    let slow = Proxy::before(&old).await;
    let reader = super::patient(Gradual::builder(
        connect(slow.url()).await,
        connect(new.url()).await,
    ));
    let (reader, seen) = reader.build().unwrap();
    let (other_new, faults) = Faulty::new(connect(new.url()).await);
    let other = super::patient(Gradual::builder(connect(old.url()).await, other_new));
    let (other, rollout) = other.build().unwrap();
    rollout.grow_to(1.0).await.unwrap();
    eventually(DEADLINE, async || seen.status().share == 1.0).await;
    let key = Key::from("row:1");
    let row = Encoded::new(b"a row as it was before".as_slice().into());
    let kept = Duration::from_secs(60);
    assert!(other.put(&key, Stored::Encoded(row), kept).await.unwrap());
    assert!(reader.get(&key).await.unwrap().is_some());
    // What it asks the old backend takes a while to get there.
    slow.delay(Duration::from_millis(200));
    faults.set(Fault::Down);
    other.invalidate(std::slice::from_ref(&key)).await.unwrap();
    faults.heal();
    let read = async { reader.get(&key).await.unwrap() };
    let again = eventually(DEADLINE, async || rollout.grow_to(1.0).await.is_ok());
    let (found, ()) = within(async { tokio::join!(read, again) }).await;
    assert!(found.is_none(), "it was invalidated before the read began");
}

/// The permit could not be taken away, and is there yet: this process has ended it, and cannot take it up again.
#[tokio::test]
async fn who_has_ended_a_roll_out_begins_it_anew() {
    let stores = Stores::default();
    let (old, faults) = Faulty::new(stores.old.clone());
    let builder = super::patient(Gradual::builder(old, stores.new.clone()));
    let (_backend, rollout) = builder.build().unwrap();
    rollout.grow_to(1.0).await.unwrap();
    let (key, kept) = (Key::from("row:1"), Duration::from_secs(60));
    stores.new.put(&key, value(1), kept).await.unwrap();
    faults.set(Fault::Down);
    assert!(rollout.withdraw().await.is_err());
    faults.heal();
    assert!(has(&stores.old, "%roll-out").await);
    rollout.grow_to(0.5).await.unwrap();
    assert_eq!(rollout.status().share, 0.5);
    assert!(!has(&stores.new, "row:1").await, "emptied first");
}
