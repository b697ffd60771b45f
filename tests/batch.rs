//! Batch loaders: an entry, a lease and a flight for each element; one look-up, one load, one store for all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached, carry, invalidates};
use tests::{Gate, RedisServer, idle, on_each_backend, on_redis, within};

/// Rows, and what was asked of them.
#[derive(Clone, Default)]
struct Db {
    queries: Arc<Mutex<Vec<Vec<u64>>>>,
    gate: Gate,
    /// Ids that there is no row for.
    holes: Vec<u64>,
    fails: Arc<Mutex<bool>>,
}

impl Db {
    fn open() -> Self {
        let db = Self::default();
        db.gate.open();
        db
    }

    async fn query(&self, ids: &[u64]) -> Vec<Option<String>> {
        self.queries.lock().unwrap().push(ids.to_vec());
        self.gate.pass().await;
        ids.iter()
            .map(|id| (!self.holes.contains(id)).then(|| row(*id)))
            .collect()
    }

    async fn map(&self, ids: &[u64]) -> Result<HashMap<u64, String>, Down> {
        let rows = self.query(ids).await;
        if *self.fails.lock().unwrap() {
            return Err(Down);
        }
        Ok(ids
            .iter()
            .copied()
            .zip(rows)
            .filter_map(|(id, row)| Some((id, row?)))
            .collect())
    }

    fn queries(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut self.queries.lock().unwrap())
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Down;

fn row(id: u64) -> String {
    format!("row {id}")
}

fn rows(ids: &[u64]) -> HashMap<u64, String> {
    ids.iter().map(|&id| (id, row(id))).collect()
}

#[cached(key = "user:<ids[]>", ttl = 60)]
async fn users(db: &Db, ids: &[u64]) -> Result<HashMap<u64, String>, Down> {
    db.map(ids).await
}

#[cached(key = "user:<id>", ttl = 60)]
async fn user(db: &Db, id: u64) -> Result<Option<String>, Down> {
    Ok(db.query(&[id]).await.remove(0))
}

#[invalidates("user:<id>")]
async fn rename(id: u64) {
    let _ = id;
}

#[cached(key = "sorted:<ids[]>")]
async fn sorted(db: &Db, ids: Vec<u64>) -> BTreeMap<u64, String> {
    db.map(&ids).await.unwrap().into_iter().collect()
}

#[cached(key = "listed:<ids[]>", negative_ttl = 30)]
async fn listed(db: &Db, ids: &[u64]) -> Vec<Option<String>> {
    db.query(ids).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_missing_is_loaded_in_one_call() {
    on_each_backend(async |cache| {
        let db = Db::open();
        assert_eq!(users(&db, &[1, 2]).await, Ok(rows(&[1, 2])));
        assert_eq!(
            users(&db, &[4, 2, 3, 1, 5]).await,
            Ok(rows(&[1, 2, 3, 4, 5]))
        );
        assert_eq!(
            users(&db, &[5, 4, 3, 2, 1]).await,
            Ok(rows(&[1, 2, 3, 4, 5]))
        );
        assert_eq!(users(&db, &[]).await, Ok(HashMap::new()));
        assert_eq!(db.queries(), [vec![1, 2], vec![4, 3, 5]]);
        let stats = cache.stats().function(users::SPEC);
        assert_eq!((stats.hits, stats.misses, stats.loads), (7, 5, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_those_of_the_single_loader() {
    on_each_backend(async |_| {
        let db = Db::open();
        assert_eq!(user(&db, 1).await, Ok(Some(row(1))));
        assert_eq!(users(&db, &[1, 2]).await, Ok(rows(&[1, 2])));
        assert_eq!(user(&db, 2).await, Ok(Some(row(2))));
        assert_eq!(db.queries(), [vec![1], vec![2]]);
        rename(2).await;
        assert_eq!(users(&db, &[1, 2]).await, Ok(rows(&[1, 2])));
        assert_eq!(db.queries(), [vec![2]]);
    })
    .await;
}

/// It is called from inside the load that it would wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_loader_may_ask_the_batch_loader_of_its_template() {
    #[cached(key = "user:<id>", ttl = 60)]
    async fn by_way_of_the_batch(db: &Db, id: u64) -> Result<Option<String>, Down> {
        Ok(users(db, &[id]).await?.remove(&id))
    }
    #[cached(key = "user:<ids[]>", ttl = 60)]
    async fn one_by_one(db: &Db, ids: &[u64]) -> Result<HashMap<u64, String>, Down> {
        let mut found = HashMap::new();
        for &id in ids {
            found.extend(user(db, id).await?.map(|row| (id, row)));
        }
        Ok(found)
    }
    on_each_backend(async |_| {
        let db = Db::open();
        for _ in 0..2 {
            let found = within(by_way_of_the_batch(&db, 1)).await;
            assert_eq!(found, Ok(Some(row(1))));
            assert_eq!(within(one_by_one(&db, &[2, 3])).await, Ok(rows(&[2, 3])));
        }
        assert_eq!(db.queries(), [vec![1], vec![2], vec![3]]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_of_result_holds_what_was_asked_for() {
    on_each_backend(async |_| {
        let db = Db {
            holes: vec![9],
            ..Db::open()
        };
        let found = sorted(&db, vec![3, 1, 9]).await;
        assert_eq!(found, BTreeMap::from([(1, row(1)), (3, row(3))]));
        assert_eq!(sorted(&db, vec![1, 3]).await, found);
        assert_eq!(db.queries(), [vec![3, 1, 9]]);

        let list = [Some(row(2)), None, Some(row(1)), Some(row(2)), None];
        assert_eq!(listed(&db, &[2, 9, 1, 2, 9]).await, list);
        assert_eq!(listed(&db, &[2, 9, 1, 2, 9]).await, list);
        assert_eq!(db.queries(), [vec![2, 9, 1]], "each once");
    })
    .await;
}

#[tokio::test]
async fn ids_without_a_row_are_kept_for_the_negative_ttl() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    cache
        .scope(async {
            let db = Db {
                holes: vec![9],
                ..Db::open()
            };
            for _ in 0..2 {
                listed(&db, &[1, 9]).await;
                assert!(users(&db, &[9]).await.unwrap().is_empty());
            }
            assert_eq!(
                db.queries(),
                [vec![1, 9], vec![9], vec![9]],
                "users has none"
            );
            clock.advance(Duration::from_secs(30));
            assert_eq!(listed(&db, &[1, 9]).await, [Some(row(1)), None]);
            assert_eq!(db.queries(), [vec![9]]);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_another_call_loads_are_waited_for() {
    on_each_backend(async |_| {
        let db = Db::default();
        let spawn = |ids: &'static [u64]| {
            let db = db.clone();
            tokio::spawn(carry(async move { users(&db, ids).await }))
        };
        let first = spawn(&[1, 2]);
        db.gate.arrived(1).await;
        let second = spawn(&[2, 3, 1]);
        db.gate.arrived(2).await;
        let third = {
            let db = db.clone();
            tokio::spawn(carry(async move { user(&db, 3).await }))
        };
        // It has nothing of its own to load, so there is nothing to see of it before the others end.
        let fourth = spawn(&[3, 1]);
        db.gate.open();
        assert_eq!(within(first).await.unwrap(), Ok(rows(&[1, 2])));
        assert_eq!(within(second).await.unwrap(), Ok(rows(&[1, 2, 3])));
        assert_eq!(within(third).await.unwrap(), Ok(Some(row(3))));
        assert_eq!(within(fourth).await.unwrap(), Ok(rows(&[1, 3])));
        assert_eq!(db.queries(), [vec![1, 2], vec![3]]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_another_process_loads_are_waited_for() {
    let server = RedisServer::start().await;
    // Caches do not know each other: each is a process as far as leases and flights go.
    let (one, other) = (on_redis(&server).await, on_redis(&server).await);
    let db = Db::default();
    let call = |cache: &Cache, ids: &'static [u64]| {
        let (cache, db) = (cache.clone(), db.clone());
        tokio::spawn(async move { cache.scope(users(&db, ids)).await })
    };
    let first = call(&one, &[1, 2, 3, 4]);
    db.gate.arrived(1).await;
    let second = call(&other, &[3, 4, 5, 6]);
    db.gate.arrived(2).await;
    db.gate.open();
    assert_eq!(within(first).await.unwrap(), Ok(rows(&[1, 2, 3, 4])));
    assert_eq!(within(second).await.unwrap(), Ok(rows(&[3, 4, 5, 6])));
    assert_eq!(db.queries(), [vec![1, 2, 3, 4], vec![5, 6]]);
}

/// Each holds what the other waits for: were one of them to wait before it has loaded, both would wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_ask_for_each_others_ids_do_not_wait_for_ever() {
    on_each_backend(async |_| {
        let db = Db::open();
        for round in 0..50 {
            let ids: Vec<u64> = (round * 10..round * 10 + 10).collect();
            let calls: Vec<_> = (0..8)
                .map(|turn| {
                    let (db, mut ids) = (db.clone(), ids.clone());
                    ids.rotate_left(turn);
                    if turn % 2 == 0 {
                        ids.reverse();
                    }
                    tokio::spawn(carry(async move {
                        assert_eq!(users(&db, &ids).await, Ok(rows(&ids)));
                    }))
                })
                .collect();
            for call in calls {
                within(call).await.unwrap();
            }
        }
        let mut loaded: Vec<u64> = db.queries().into_iter().flatten().collect();
        loaded.sort_unstable();
        assert_eq!(loaded, (0..500).collect::<Vec<_>>(), "each once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_costs_its_own_element_alone() {
    on_each_backend(async |cache| {
        let db = Db::default();
        let call = {
            let db = db.clone();
            tokio::spawn(carry(async move { users(&db, &[1, 2, 3]).await }))
        };
        db.gate.arrived(1).await;
        rename(2).await;
        db.gate.open();
        assert_eq!(within(call).await.unwrap(), Ok(rows(&[1, 2, 3])));
        assert_eq!(cache.stats().function(users::SPEC).rejected_fills, 1);
        users(&db, &[1, 2, 3]).await.unwrap();
        assert_eq!(db.queries(), [vec![1, 2, 3], vec![2]]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_after_an_invalidation_does_not_join_the_batch_from_before_it() {
    on_each_backend(async |_| {
        let db = Db::default();
        let spawn = || {
            let db = db.clone();
            tokio::spawn(carry(async move { users(&db, &[1, 2]).await }))
        };
        let before = spawn();
        db.gate.arrived(1).await;
        rename(1).await;
        let after = spawn();
        db.gate.arrived(2).await;
        assert_eq!(db.queries(), [vec![1, 2], vec![1]]);
        db.gate.open();
        for call in [before, after] {
            assert_eq!(within(call).await.unwrap(), Ok(rows(&[1, 2])));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_stores_nothing_and_its_error_is_shared() {
    on_each_backend(async |_| {
        let db = Db::default();
        *db.fails.lock().unwrap() = true;
        let first = {
            let db = db.clone();
            tokio::spawn(carry(async move { users(&db, &[1, 2]).await }))
        };
        db.gate.arrived(1).await;
        let second = {
            let db = db.clone();
            tokio::spawn(carry(async move { users(&db, &[2]).await }))
        };
        settle(&second).await;
        db.gate.open();
        assert_eq!(within(first).await.unwrap(), Err(Down));
        assert_eq!(within(second).await.unwrap(), Err(Down));
        *db.fails.lock().unwrap() = false;
        db.queries();
        assert_eq!(users(&db, &[1, 2]).await, Ok(rows(&[1, 2])));
        assert_eq!(db.queries(), [vec![1, 2]]);
    })
    .await;
}

/// Lets the call get as far as it can without the load: there is nothing of it to be seen, and it may as well come later.
async fn settle<T>(call: &tokio::task::JoinHandle<T>) {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_batch_leaves_its_elements_to_the_next() {
    on_each_backend(async |_| {
        let db = Db::default();
        let spawn = |ids: &'static [u64]| {
            let db = db.clone();
            tokio::spawn(carry(async move { users(&db, ids).await }))
        };
        let leader = spawn(&[1, 2, 3]);
        db.gate.arrived(1).await;
        let waiter = spawn(&[3, 2]);
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        db.gate.arrived(2).await;
        db.gate.open();
        assert_eq!(within(waiter).await.unwrap(), Ok(rows(&[2, 3])));
        assert_eq!(users(&db, &[1]).await, Ok(rows(&[1])));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn leases_are_renewed_while_a_batch_loads() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    let db = Db::default();
    let call = |ids: &'static [u64]| {
        let (cache, db) = (cache.clone(), db.clone());
        tokio::spawn(async move { cache.scope(users(&db, ids)).await })
    };
    let slow = call(&[1, 2]);
    db.gate.arrived(1).await;
    for _ in 0..20 {
        clock.advance(Duration::from_secs(2));
        idle().await;
    }
    let other = call(&[2]);
    idle().await;
    assert_eq!(db.gate.count(), 1, "the lease still stands after 40 s");
    db.gate.open();
    assert_eq!(within(slow).await.unwrap(), Ok(rows(&[1, 2])));
    assert_eq!(within(other).await.unwrap(), Ok(rows(&[2])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_another_length_is_returned_and_not_stored() {
    #[cached(key = "short:<ids[]>")]
    async fn short(db: &Db, ids: &[u64]) -> Vec<Option<String>> {
        let mut rows = db.query(ids).await;
        rows.retain(Option::is_some);
        rows
    }
    on_each_backend(async |_| {
        let db = Db {
            holes: vec![9],
            ..Db::open()
        };
        assert_eq!(short(&db, &[1, 2]).await, [Some(row(1)), Some(row(2))]);
        // As without a cache, though a part of it is cached.
        assert_eq!(short(&db, &[1, 9, 3]).await, [Some(row(1)), Some(row(3))]);
        assert_eq!(short(&db, &[9, 3]).await, [Some(row(3))]);
        assert_eq!(
            db.queries(),
            [vec![1, 2], vec![9, 3], vec![1, 9, 3], vec![9, 3]]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_look_up_and_one_store_whatever_the_number_of_elements() {
    let server = RedisServer::start().await;
    let cache = on_redis(&server).await;
    let db = Db::open();
    let ids: Vec<u64> = (0..100).collect();
    // Scripts and connection are known to the server after this.
    cache.scope(users(&db, &[1000])).await.unwrap();
    let scripts = |calls: &std::collections::BTreeMap<String, u64>| {
        calls.get("evalsha").unwrap_or(&0) + calls.get("eval").unwrap_or(&0)
    };
    server.forget_calls().await;
    cache.scope(users(&db, &ids)).await.unwrap();
    let cold = server.calls().await;
    assert!(scripts(&cold) <= 2, "leases, and stores: {cold:?}");
    server.forget_calls().await;
    assert_eq!(cache.scope(users(&db, &ids)).await, Ok(rows(&ids)));
    let warm = server.calls().await;
    assert_eq!(
        (warm.get("mget"), scripts(&warm)),
        (Some(&1), 0),
        "{warm:?}"
    );
    assert_eq!(warm.get("get"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_a_transaction_noted_ids_are_loaded_and_nothing_is_stored() {
    on_each_backend(async |cache| {
        let db = Db::open();
        users(&db, &[1, 2]).await.unwrap();
        cache
            .in_transaction(async {
                rename(1).await;
                assert_eq!(users(&db, &[1, 2, 3]).await, Ok(rows(&[1, 2, 3])));
            })
            .await;
        assert_eq!(db.queries(), [vec![1, 2], vec![1, 3]]);
        users(&db, &[1, 2, 3]).await.unwrap();
        assert_eq!(db.queries(), [vec![1, 3]]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_companion_knows_the_keys_of_the_elements() {
    on_each_backend(async |_| {
        let db = Db::open();
        assert_eq!(users::keys(&[1, 2]), ["user:1", "user:2"]);
        users(&db, &[1, 2, 3]).await.unwrap();
        users::invalidate(&[1, 3]).await.unwrap();
        users(&db, &[1, 2, 3]).await.unwrap();
        users::refresh(&db, &[2, 3]).await.unwrap();
        assert_eq!(db.queries(), [vec![1, 2, 3], vec![1, 3], vec![2, 3]]);
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_fails_yields_old_values_where_all_have_one() {
    #[cached(key = "old:<ids[]>", ttl = 60, stale_if_error = 600)]
    async fn old(db: &Db, ids: &[u64]) -> Result<HashMap<u64, String>, Down> {
        db.map(ids).await
    }
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    cache
        .scope(async {
            let db = Db::open();
            old(&db, &[1, 2]).await.unwrap();
            clock.advance(Duration::from_secs(100));
            *db.fails.lock().unwrap() = true;
            assert_eq!(old(&db, &[1, 2]).await, Ok(rows(&[1, 2])));
            assert_eq!(old(&db, &[1, 2, 3]).await, Err(Down), "there is none of 3");
            assert_eq!(cache.stats().function(old::SPEC).stale_on_error, 2);
            clock.advance(Duration::from_secs(600));
            assert_eq!(old(&db, &[1, 2]).await, Err(Down));
        })
        .await;
}

#[tokio::test]
async fn with_the_backend_away_it_loads_all() {
    let (backend, faults) =
        cache_runtime::testing::Faulty::new(cache_runtime::backend::Memory::new());
    let cache = Cache::builder().backend(backend).build().await.unwrap();
    let db = Db::open();
    faults.set(cache_runtime::testing::Fault::Down);
    for _ in 0..2 {
        assert_eq!(cache.scope(users(&db, &[1, 2])).await, Ok(rows(&[1, 2])));
    }
    assert_eq!(db.queries(), [vec![1, 2], vec![1, 2]]);
}
