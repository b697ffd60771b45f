//! Warm-up from lists: what is counted, how many loads there are at a time, and how it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_runtime::backend::Memory;
use cache_runtime::testing::{Fault, Faulty};
use cache_runtime::warm::{HotKeys, WarmEnd};
use cache_runtime::{Cache, Error, ManualClock, cached};
use tests::{Gate, idle, in_memory, on_each_backend, once_begun, within};

/// A database that knows how many ask it at once.
#[derive(Debug, Default)]
struct Db {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Db {
    async fn ask<T>(&self, answer: impl Future<Output = T>) -> T {
        struct Leave<'a>(&'a AtomicUsize);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        let _leave = Leave(&self.now);
        self.most.fetch_max(now, Ordering::SeqCst);
        answer.await
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Of 100 users every tenth does not exist, and number 5 is a bad row.
#[cached(key = "user:<id>", ttl = 60)]
async fn load_user(db: &Db, id: u64) -> Result<Option<String>, String> {
    db.ask(async {
        tokio::task::yield_now().await;
        match id {
            5 => Err("a bad row".to_owned()),
            _ if id.is_multiple_of(10) => Ok(None),
            _ => Ok(Some(format!("user {id}"))),
        }
    })
    .await
}

#[tokio::test]
async fn every_item_is_counted_once_and_by_what_became_of_it() {
    on_each_backend(async |cache| {
        let db = Db::default();
        for id in [1, 2, 3] {
            load_user(&db, id).await.unwrap();
        }
        let report = cache
            .warm()
            .arguments(1..=100, |id| load_user(&db, id))
            .run()
            .await;
        let counted = (
            report.loaded,
            report.already_there,
            report.absent,
            report.failed,
        );
        assert_eq!(counted, (86, 3, 10, 1), "{report}");
        assert_eq!(
            (report.skipped, report.not_stored, report.end),
            (0, 0, WarmEnd::Complete)
        );
        assert_eq!(report.errors.len(), 1);
        assert_eq!(report.errors[0].to_string(), "item 5: its load failed");
        assert_eq!(report.done(), 100);

        let again = cache
            .warm()
            .try_arguments(1..=100, |id| load_user(&db, id))
            .run()
            .await;
        let counted = (
            again.loaded,
            again.already_there,
            again.absent,
            again.failed,
        );
        assert_eq!(counted, (0, 89, 10, 1), "{again}");
        assert_eq!(again.errors[0].to_string(), "item 5: a bad row");
    })
    .await;
}

#[cached(key = "held:<id>", ttl = 60)]
async fn load_held(db: &Db, gate: &Gate, id: u64) -> u64 {
    let answer = async {
        gate.pass().await;
        tokio::task::yield_now().await;
        id
    };
    db.ask(answer).await
}

#[tokio::test]
async fn the_database_never_sees_more_than_the_given_concurrency() {
    on_each_backend(async |cache| {
        let (db, gate) = (Db::default(), Gate::new());
        let warm_up = cache
            .warm()
            .arguments(1..=100, |id| load_held(&db, &gate, id))
            .concurrency(7);
        let opening = async {
            gate.arrived(7).await;
            gate.open();
        };
        let (report, ()) = tokio::join!(warm_up.run(), opening);
        assert_eq!(report.loaded, 100);
        assert_eq!(db.most(), 7);
    })
    .await;
}

#[cached(key = "slow:<id>", ttl = 60, timeout = 1)]
async fn load_slowly(db: Arc<Db>, gate: Gate, id: u64) -> Result<u64, Error> {
    db.ask(async {
        gate.pass().await;
        Ok(id)
    })
    .await
}

/// A call that has timed out has an answer, but its load is with the database still.
#[tokio::test(start_paused = true)]
async fn a_load_counts_until_it_ends_also_beyond_its_call() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    let (db, gate) = (Arc::new(Db::default()), Gate::new());
    let warm_up = tokio::spawn({
        let (cache, db, gate) = (cache.clone(), db.clone(), gate.clone());
        async move {
            let call = |id| load_slowly(db.clone(), gate.clone(), id);
            cache
                .warm()
                .arguments(1..=6, call)
                .concurrency(2)
                .run()
                .await
        }
    });
    gate.arrived(2).await;
    clock.advance(Duration::from_secs(1));
    idle().await;
    assert_eq!(
        gate.count(),
        2,
        "both calls have timed out, and neither load has ended"
    );
    gate.open();
    let report = within(warm_up).await.unwrap();
    assert_eq!(db.most(), 2);
    assert_eq!(
        (report.loaded, report.failed),
        (6, 0),
        "a load that was late has loaded all the same: {report}"
    );
}

#[cached(key = "fresh:<id>", ttl = 60, stampede = "swr", refresh_after = 10)]
async fn load_fresh(db: Arc<Db>, gate: Gate, id: u64) -> u64 {
    db.ask(async {
        gate.pass().await;
        id
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn refreshes_in_the_background_count_too() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    let (db, gate) = (Arc::new(Db::default()), Gate::new());
    let warm_up = || {
        let (cache, db, gate) = (cache.clone(), db.clone(), gate.clone());
        tokio::spawn(async move {
            let call = |id| load_fresh(db.clone(), gate.clone(), id);
            cache
                .warm()
                .arguments(1..=6, call)
                .concurrency(2)
                .run()
                .await
        })
    };
    gate.open();
    assert_eq!(within(warm_up()).await.unwrap().loaded, 6);
    gate.close();
    clock.advance(Duration::from_secs(20));
    let second = warm_up();
    gate.arrived(8).await;
    idle().await;
    assert_eq!(
        gate.count(),
        8,
        "two refreshes, and no further ones while they run"
    );
    gate.open();
    let report = within(second).await.unwrap();
    assert_eq!((report.loaded, report.already_there), (6, 0));
    assert_eq!(db.most(), 2);
}

#[cached(key = "gated:<id>", ttl = 60)]
async fn load_gated(gate: Gate, id: u64) -> u64 {
    gate.pass().await;
    id
}

/// Of this process, whose load is joined, and of another, whose lease is waited for.
#[tokio::test]
async fn a_load_of_another_caller_counts_as_loaded() {
    let store = Arc::new(Memory::new());
    let built = async || {
        Cache::builder()
            .backend(store.clone())
            .build()
            .await
            .unwrap()
    };
    let (here, there) = (built().await, built().await);
    for caller in [here.clone(), there] {
        let gate = Gate::new();
        let call = tokio::spawn(caller.scope(load_gated(gate.clone(), 1)));
        gate.arrived(1).await;
        let load = |id| load_gated(gate.clone(), id);
        let warm_up = here.warm().arguments([1], load).run();
        let report = within(once_begun(warm_up, || gate.open())).await;
        assert_eq!((report.loaded, report.already_there), (1, 0));
        assert_eq!(gate.count(), 1);
        call.await.unwrap();
        caller.scope(load_gated::invalidate(1)).await.unwrap();
    }
}

/// What a loader calls in turn is not what its item is about.
#[tokio::test]
async fn what_a_load_calls_does_not_count() {
    #[cached(key = "outer:<id>", ttl = 60)]
    async fn outer(db: &Db, id: u64) -> u64 {
        // Number 5 fails, and the outer value is there all the same.
        load_user(db, id).await.map_or(0, |_| id)
    }
    let (cache, db) = (in_memory().await, Db::default());
    let report = cache
        .warm()
        .arguments([4, 5], |id| outer(&db, id))
        .run()
        .await;
    assert_eq!((report.loaded, report.failed), (2, 0), "{report}");
}

#[cached(key = "element:<ids[]>", ttl = 60)]
async fn load_elements(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter()
        .filter(|id| **id < 100)
        .map(|&id| (id, id))
        .collect()
}

#[tokio::test]
async fn a_batch_is_one_item() {
    on_each_backend(async |cache| {
        let lists: [&[u64]; 3] = [&[1, 2, 3], &[2, 3], &[500]];
        let report = cache
            .warm()
            .arguments(lists, load_elements)
            .concurrency(1)
            .run()
            .await;
        let counted = (
            report.loaded,
            report.already_there,
            report.absent,
            report.failed,
        );
        assert_eq!(counted, (1, 1, 1, 0), "{report}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn items_begin_at_the_given_rate() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    let gate = Gate::new();
    gate.open();
    let warm_up = tokio::spawn({
        let gate = gate.clone();
        async move {
            let call = |id| load_gated(gate.clone(), id);
            cache.warm().arguments(0..100, call).rate(10.0).run().await
        }
    });
    for n in 1..=20 {
        idle().await;
        assert_eq!(gate.count(), n);
        clock.advance(Duration::from_millis(100));
    }
    clock.advance(Duration::from_millis(450));
    idle().await;
    assert_eq!(gate.count(), 21, "what was missed does not come as a burst");
    while !warm_up.is_finished() {
        clock.advance(Duration::from_millis(100));
        idle().await;
    }
    let report = warm_up.await.unwrap();
    assert_eq!(report.loaded, 100);
    assert!(report.elapsed >= Duration::from_millis(9900), "{report}");
}

#[tokio::test]
async fn stopped_it_ends_what_is_under_way_and_begins_nothing_more() {
    let (cache, gate) = (in_memory().await, Gate::new());
    let call = |id| load_gated(gate.clone(), id);
    let warm_up = cache.warm().arguments(1..=10, call).concurrency(3);
    let stop = warm_up.stopper();
    let stopping = async {
        gate.arrived(3).await;
        stop.stop();
        gate.open();
    };
    let (report, ()) = within(async { tokio::join!(warm_up.run(), stopping) }).await;
    assert_eq!((report.loaded, report.skipped), (3, 7));
    assert_eq!(report.end, WarmEnd::Stopped);
}

#[tokio::test(start_paused = true)]
async fn stopped_while_it_waits_for_its_rate_it_ends_at_once() {
    let (cache, gate) = (in_memory().await, Gate::new());
    gate.open();
    let call = |id| load_gated(gate.clone(), id);
    let warm_up = cache.warm().arguments(1..=10, call).rate(1e-6);
    let stop = warm_up.stopper();
    let stopping = async {
        gate.arrived(1).await;
        idle().await;
        stop.stop();
    };
    let (report, ()) = within(async { tokio::join!(warm_up.run(), stopping) }).await;
    assert_eq!((report.loaded, report.skipped), (1, 9));
}

#[tokio::test(start_paused = true)]
async fn at_its_deadline_what_is_under_way_is_given_up() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    let gate = Gate::new();
    let warm_up = tokio::spawn({
        let (cache, gate) = (cache.clone(), gate.clone());
        async move {
            let call = |id| load_gated(gate.clone(), id);
            let warm_up = cache.warm().arguments(1..=10, call).concurrency(3);
            warm_up.deadline(Duration::from_secs(5)).run().await
        }
    });
    gate.arrived(3).await;
    clock.advance(Duration::from_secs(5));
    let report = within(warm_up).await.unwrap();
    assert_eq!(
        (report.loaded, report.skipped, report.end),
        (0, 10, WarmEnd::Deadline)
    );
    // Their leases are free again: nobody waits for them.
    gate.open();
    assert_eq!(within(cache.scope(load_gated(gate, 1))).await, 1);
}

/// Nothing in it ever waits: what is to end it has a turn all the same, on the one thread that there is.
#[tokio::test]
async fn items_that_are_there_in_memory_keep_nobody_from_a_turn() {
    let (cache, gate) = (in_memory().await, Gate::new());
    gate.open();
    cache.scope(load_gated(gate.clone(), 1)).await;
    let endless = || std::iter::repeat(1);
    let late = cache
        .warm()
        .arguments(endless(), |id| load_gated(gate.clone(), id));
    let report = within(late.deadline(Duration::from_millis(20)).run()).await;
    assert_eq!(report.end, WarmEnd::Deadline);
    let stopped = cache
        .warm()
        .arguments(endless(), |id| load_gated(gate.clone(), id));
    let stop = stopped.stopper();
    let stopping = async {
        tokio::task::yield_now().await;
        stop.stop();
    };
    let (report, ()) = within(async { tokio::join!(stopped.run(), stopping) }).await;
    assert_eq!(report.end, WarmEnd::Stopped);
    assert!(report.already_there > 0, "{report}");
}

/// Its list does not say how many there are left.
#[tokio::test]
async fn stopped_in_a_list_of_unknown_length_it_is_not_complete() {
    let (cache, gate) = (in_memory().await, Gate::new());
    let list = || (1..=10).filter(|_| true);
    let call = |id| load_gated(gate.clone(), id);
    let warm_up = cache.warm().arguments(list(), call).concurrency(3);
    let stop = warm_up.stopper();
    let stopping = async {
        gate.arrived(3).await;
        stop.stop();
        gate.open();
    };
    let (report, ()) = within(async { tokio::join!(warm_up.run(), stopping) }).await;
    assert_eq!((report.loaded, report.end), (3, WarmEnd::Stopped));
    let report = within(cache.warm().arguments(list(), call).run()).await;
    assert_eq!((report.done(), report.end), (10, WarmEnd::Complete));
}

#[tokio::test]
async fn dropped_it_drops_what_is_under_way() {
    on_each_backend(async |cache| {
        let gate = Gate::new();
        let warm_up = tokio::spawn({
            let (cache, gate) = (cache.clone(), gate.clone());
            async move {
                cache
                    .warm()
                    .arguments(1..=10, |id| load_gated(gate.clone(), id))
                    .run()
                    .await
            }
        });
        gate.arrived(10).await;
        warm_up.abort();
        assert!(warm_up.await.unwrap_err().is_cancelled());
        gate.open();
        for id in 1..=10 {
            assert_eq!(within(load_gated(gate.clone(), id)).await, id);
        }
    })
    .await;
}

#[tokio::test]
async fn a_panic_is_the_error_of_its_item_alone() {
    #[cached(key = "odd:<id>", ttl = 60)]
    async fn only_odd(id: u64) -> u64 {
        assert!(!id.is_multiple_of(2), "{id} is even");
        id
    }
    let cache = in_memory().await;
    let report = cache.warm().arguments(1..=4, only_odd).run().await;
    assert_eq!((report.loaded, report.failed), (2, 2));
    assert_eq!(report.errors[0].to_string(), "item 2: panicked: 2 is even");
    // And one before there is anything to be awaited.
    let call = |id: u64| {
        assert!(id != 2, "2 is refused");
        only_odd(id)
    };
    let report = cache.warm().arguments(1..=3, call).run().await;
    assert_eq!((report.already_there, report.failed), (2, 1));
    assert_eq!(
        report.errors[0].to_string(),
        "item 2: panicked: 2 is refused"
    );
}

#[tokio::test]
async fn a_call_of_no_cached_function_is_an_error_that_says_so() {
    let cache = in_memory().await;
    let outside = async |id: u64| {
        // Not in the scope, and not with the item.
        tokio::spawn(load_gated(Gate::new(), id)).abort();
    };
    let report = cache.warm().arguments([1], outside).run().await;
    assert_eq!(report.failed, 1);
    let said = report.errors[0].to_string();
    assert!(said.contains("carry"), "{said}");
    assert!(report.to_string().contains(&said), "{report}");
}

#[tokio::test]
async fn a_backend_that_is_away_is_told_of() {
    let (backend, faults) = Faulty::new(Memory::new());
    let cache = Cache::builder().backend(backend).build().await.unwrap();
    faults.set(Fault::Down);
    let db = Db::default();
    let report = cache
        .warm()
        .arguments([1, 2], |id| load_user(&db, id))
        .run()
        .await;
    assert_eq!((report.loaded, report.not_stored), (2, 2), "{report}");
}

#[tokio::test]
async fn keys_are_handed_to_a_function_of_ones_own() {
    let (cache, db) = (in_memory().await, Db::default());
    let by_key = |key: cache_runtime::Key| {
        let id = key["user:".len()..].parse().unwrap();
        load_user(&db, id)
    };
    let report = cache
        .warm()
        .keys(["user:1", "user:2"])
        .keys(["user:3"])
        .load_with(by_key)
        .run()
        .await;
    assert_eq!(report.loaded, 3);
    assert_eq!(cache.stats().function(load_user::SPEC).loads, 3);
}

#[tokio::test]
async fn an_empty_list_is_no_error() {
    let cache = in_memory().await;
    let report = cache
        .warm()
        .arguments(Vec::new(), |id| load_gated(Gate::new(), id))
        .run()
        .await;
    assert_eq!(report.done(), 0);
    assert_eq!(
        report.to_string(),
        format!(
            "loaded 0, already there 0, absent 0, failed 0 in {:.3}s",
            report.elapsed.as_secs_f64()
        )
    );
}

#[cached(pattern = "read-through", key = "item:<id>", ttl = 60)]
async fn load_item(id: u64) -> Result<Option<u64>, String> {
    match id {
        13 => Err("a bad row".to_owned()),
        14 => panic!("a bad loader"),
        _ => Ok((id < 100).then_some(id)),
    }
}

#[tokio::test]
async fn keys_are_loaded_by_the_loaders_that_they_fit() {
    let cache = in_memory().await;
    cache.scope(load_item(1)).await.unwrap();
    let keys = [
        "item:1", "item:2", "item:3", "item:500", "item:13", "item:14", "itm:4", "item:x",
    ];
    let report = cache.warm().keys(keys).concurrency(1).run().await;
    let counted = (
        report.loaded,
        report.already_there,
        report.absent,
        report.failed,
    );
    assert_eq!(counted, (2, 1, 1, 4), "{report:?}");
    let said: Vec<_> = report.errors.iter().map(ToString::to_string).collect();
    assert_eq!(said[0], "key `item:13`: `load_item` failed: a bad row");
    assert_eq!(said[1], "key `item:14`: panicked: a bad loader");
    assert!(
        said[2].starts_with("key `itm:4`: ") && said[2].contains("item:<id>"),
        "{said:?}"
    );
    assert!(said[3].starts_with("key `item:x`: "), "{said:?}");
}

#[tokio::test]
async fn the_hottest_keys_of_before_are_warmed_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hot.keys");
    let built = async || {
        let hot_keys = HotKeys::new(1000).one_in(1);
        let builder = Cache::builder().track_hot_keys(hot_keys);
        builder.build().await.unwrap()
    };
    let before = built().await;
    before
        .scope(async {
            for id in (20..60).chain(30..40) {
                load_item(id).await.unwrap();
            }
        })
        .await;
    before.save_hot_keys(&file).await.unwrap();
    let after = built().await;
    after.load_hot_keys(&file).await.unwrap();
    let report = after.warm().hottest(10).keys(["item:20"]).run().await;
    assert_eq!((report.loaded, report.failed), (11, 0), "{report}");
    for id in (30..40).chain([20]) {
        after.scope(load_item(id)).await.unwrap();
    }
    let stats = after.stats().function(load_item::SPEC);
    assert_eq!((stats.loads, stats.hits), (11, 11));
}
