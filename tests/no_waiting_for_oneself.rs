//! Calls inside of loads, loads that outlive their calls, and leases that nobody needs: nobody waits for what cannot come.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::backend::Memory;
use cache_runtime::testing::{Fault, Faulty};
use cache_runtime::{Cache, ManualClock, cached, carry};
use tests::{Gate, idle, within};

/// Two processes: caches on one store do not know each other.
async fn two() -> (Cache, Cache) {
    let store = Arc::new(Memory::new());
    let one = Cache::builder().backend(store.clone()).build().await;
    let other = Cache::builder().backend(store).build().await;
    (one.unwrap(), other.unwrap())
}

#[derive(Clone, Default)]
struct Db {
    singles: Gate,
    batches: Gate,
}

#[cached(key = "row:<ids[]>")]
async fn rows(db: &Db, ids: &[u64]) -> HashMap<u64, u64> {
    db.batches.pass().await;
    ids.iter().map(|&id| (id, id)).collect()
}

#[cached(key = "row:<id>")]
async fn row(db: &Db, id: u64) -> Option<u64> {
    db.singles.pass().await;
    Some(id)
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_still_loads_keeps_nobody_from_what_another_process_has_stored() {
    let (elsewhere, here) = two().await;
    let (slow, fast) = (Db::default(), Db::default());
    let spawn = |cache: &Cache, db: &Db| {
        let (cache, db) = (cache.clone(), db.clone());
        tokio::spawn(async move { cache.scope(row(&db, 2)).await })
    };
    let other = spawn(&elsewhere, &fast);
    idle().await;
    let batch = tokio::spawn({
        let (here, slow) = (here.clone(), slow.clone());
        async move { here.scope(rows(&slow, &[1, 2])).await }
    });
    idle().await;
    let single = spawn(&here, &fast);
    idle().await;
    fast.singles.open();
    idle().await;
    assert!(other.is_finished());
    assert!(single.is_finished(), "it waits for another key's load");
    slow.batches.open();
    assert_eq!(
        within(batch).await.unwrap(),
        HashMap::from([(1, 1), (2, 2)])
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_may_ask_for_an_element_of_its_own_that_another_process_loads() {
    #[cached(key = "row:<ids[]>")]
    async fn with_parents(db: &Db, ids: &[u64]) -> HashMap<u64, u64> {
        let mut found = HashMap::new();
        for &id in ids {
            found.insert(id, row(db, id + 1).await.unwrap());
        }
        found
    }
    let (elsewhere, here) = two().await;
    let db = Db::default();
    let other = tokio::spawn({
        let (elsewhere, db) = (elsewhere.clone(), db.clone());
        async move { elsewhere.scope(row(&db, 2)).await }
    });
    idle().await;
    let batch = tokio::spawn({
        let (here, db) = (here.clone(), db.clone());
        async move { here.scope(with_parents(&db, &[1, 2])).await }
    });
    idle().await;
    db.singles.open();
    within(other).await.unwrap();
    assert_eq!(
        within(batch).await.unwrap(),
        HashMap::from([(1, 2), (2, 2)])
    );
}

/// The watcher carries its scope out of the load that spawned it, and goes on when that has ended.
#[tokio::test]
async fn a_task_that_a_load_has_spawned_is_outside_of_it_once_it_has_ended() {
    static LOADS: AtomicU64 = AtomicU64::new(0);
    #[cached(key = "config")]
    async fn config(ended: &Gate, seen: &Gate) -> u64 {
        if LOADS.fetch_add(1, SeqCst) == 0 {
            let (ended, seen) = (ended.clone(), seen.clone());
            tokio::spawn(carry(async move {
                ended.pass().await;
                config::invalidate().await.unwrap();
                for _ in 0..5 {
                    boxed(&ended, &seen).await;
                }
                seen.pass().await;
            }));
        }
        1
    }
    fn boxed<'a>(
        ended: &'a Gate,
        seen: &'a Gate,
    ) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(config(ended, seen))
    }
    let cache = Cache::builder().build().await.unwrap();
    let (ended, seen) = (Gate::new(), Gate::new());
    cache.scope(config(&ended, &seen)).await;
    ended.open();
    seen.arrived(1).await;
    assert_eq!(LOADS.load(SeqCst), 2, "what it loaded was stored");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_is_given_up_with_the_value_that_it_was_to_replace() {
    #[cached(key = "feed", ttl = "1h", stampede = "swr", refresh_after = "30m")]
    async fn feed(gate: &Gate) -> u64 {
        gate.pass().await;
        1
    }
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    cache
        .scope(async {
            let (hangs, works) = (Gate::new(), Gate::new());
            works.open();
            feed(&works).await;
            clock.advance(Duration::from_secs(45 * 60));
            feed(&hangs).await;
            hangs.arrived(1).await;
            for _ in 0..(15 * 60) {
                clock.advance(Duration::from_secs(1));
                idle().await;
            }
            assert_eq!(within(feed(&works)).await, 1);
            assert_eq!(works.count(), 2, "another load was let in");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_its_leases_or_dropped_on_the_way_leaves_none() {
    let store = Arc::new(Memory::new());
    let (backend, faults) = Faulty::new(store.clone());
    let builder = Cache::builder().backend(backend);
    let cache = builder.build().await.unwrap();
    let db = Db::default();
    let batch = tokio::spawn({
        let (cache, db) = (cache.clone(), db.clone());
        async move { cache.scope(rows(&db, &[1, 2, 3])).await }
    });
    idle().await;
    assert_eq!(db.batches.count(), 1, "it holds three leases");
    batch.abort();
    assert!(batch.await.unwrap_err().is_cancelled());
    idle().await;
    faults.set(Fault::Refusing);
    db.batches.open();
    cache.scope(rows(&db, &[4, 5])).await;
    faults.heal();
    db.singles.open();
    for id in 1..=5 {
        let call = cache.scope(row(&db, id));
        let found = tokio::time::timeout(Duration::from_secs(1), call).await;
        assert_eq!(found, Ok(Some(id)), "{id} is under nobody's lease");
    }
}

#[tokio::test]
async fn elements_that_share_a_key_all_have_its_value() {
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    struct Query {
        id: u64,
        note: &'static str,
    }
    #[cached(key = "query:<queries[].id>")]
    async fn answers(queries: &[Query]) -> HashMap<Query, u64> {
        queries
            .iter()
            .map(|query| (query.clone(), query.id))
            .collect()
    }
    let cache = Cache::builder().build().await.unwrap();
    let queries = ["one", "other"].map(|note| Query { id: 1, note });
    for _ in 0..2 {
        let found = cache.scope(answers(&queries)).await;
        assert_eq!(found.len(), 2);
    }
}
