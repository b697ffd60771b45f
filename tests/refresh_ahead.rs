//! `refresh_after` with `pattern = "read-through"`: entries that are read are replaced before they expire, without a caller.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_runtime::backend::Memory;
use cache_runtime::{Cache, CacheBuilder, Error, ManualClock, Stats, cached, invalidates};
use tests::{DEADLINE, Gate, PATIENCE, RedisServer, eventually, within};

const TTL: Duration = Duration::from_secs(300);
const SOFT: Duration = Duration::from_secs(200);
const SOON: Duration = Duration::from_millis(200);
const MOMENT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A database that is held at the gate. Its answers are the numbers of its queries, from 1 on.
#[derive(Clone, Default)]
struct Db {
    gate: Gate,
    queries: Arc<AtomicU64>,
    begun: Arc<Mutex<Vec<Instant>>>,
    down: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
}

impl Db {
    fn open() -> Self {
        let db = Self::default();
        db.gate.open();
        db
    }

    async fn query(&self) -> Result<u64, DbError> {
        let query = self.queries.fetch_add(1, SeqCst) + 1;
        self.begun.lock().unwrap().push(Instant::now());
        self.gate.pass().await;
        assert!(!self.panics.load(SeqCst), "as the test asked");
        if self.down.load(SeqCst) {
            Err(DbError)
        } else {
            Ok(query)
        }
    }

    fn queries(&self) -> u64 {
        self.queries.load(SeqCst)
    }
}

#[derive(Debug)]
struct DbError;

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl From<Error> for DbError {
    fn from(_: Error) -> Self {
        Self
    }
}

#[cached(
    pattern = "read-through",
    key = "value:<id>",
    ttl = 300,
    refresh_after = "200s"
)]
async fn value(#[context] db: &Db, id: u64) -> Result<u64, DbError> {
    db.query().await
}

/// For a server whose time cannot be moved.
#[cached(
    pattern = "read-through",
    key = "soon:<id>",
    ttl = 300,
    refresh_after = "200ms"
)]
async fn soon(#[context] db: &Db, id: u64) -> Result<u64, DbError> {
    db.query().await
}

/// A database of its own.
#[derive(Clone)]
struct Other(Db);

#[cached(
    pattern = "read-through",
    key = "other:<id>",
    ttl = 300,
    refresh_after = "200s"
)]
async fn other(#[context] db: &Other, id: u64) -> Result<u64, DbError> {
    db.0.query().await
}

/// A `None` that is good for longer than `refresh_after`, and one that is not.
#[cached(
    pattern = "read-through",
    key = "none:<id>",
    ttl = 300,
    refresh_after = "200s",
    negative_ttl = 300
)]
async fn none(#[context] db: &Db, id: u64) -> Result<Option<u64>, DbError> {
    db.query().await.map(|_| None)
}

#[cached(
    pattern = "read-through",
    key = "tagged:<id>",
    ttl = 300,
    refresh_after = "200s",
    tags = ["of:<id>"]
)]
async fn tagged(#[context] db: &Db, id: u64) -> Result<u64, DbError> {
    db.query().await
}

/// A writer, which knows nothing of `refresh_after`.
#[cached(
    pattern = "write-through",
    key = "value:<id>",
    ttl = 300,
    value = new
)]
async fn save(id: u64, new: u64) -> Result<(), DbError> {
    let _ = (id, new);
    Ok(())
}

#[invalidates("value:<id>")]
async fn change(id: u64) {}

/// The cache with its clock. Nobody dies here: leases need no renewal while the clock leaps.
fn moved(db: &Db, clock: &ManualClock) -> CacheBuilder {
    Cache::builder()
        .clock(clock)
        .lease_ttl(1000 * HOUR)
        .provide(db.clone())
        .provide(Other(db.clone()))
}

/// Lets tasks that can run do so. In memory, on one thread, nothing is left to be done then but what waits for the gate or the clock.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn refreshes(stats: &Stats) -> u64 {
    stats.function(value::SPEC).refreshes
}

#[tokio::test]
async fn what_is_read_is_replaced_before_it_expires_and_without_a_caller() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    cache.scope(value(1)).await.unwrap();
    for period in 1..=5 {
        // One read a period, early in it.
        clock.advance(MOMENT);
        assert_eq!(cache.scope(value(1)).await.unwrap(), period);
        clock.advance(SOFT - MOMENT);
        settle().await;
        assert_eq!(db.queries(), period + 1);
        assert_eq!(
            cache.scope(value::peek(1)).await.unwrap().unwrap(),
            period + 1
        );
    }
    let stats = cache.stats();
    assert_eq!(refreshes(&stats), 5);
    let stats = stats.function(value::SPEC);
    assert_eq!((stats.hits, stats.misses, stats.stale_hits), (5, 1, 0));
}

#[tokio::test]
async fn what_nobody_reads_is_left_to_expire() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    // One that is not read after its load, and one that is read in its first period.
    cache.scope(value(1)).await.unwrap();
    cache.scope(value(2)).await.unwrap();
    clock.advance(MOMENT);
    cache.scope(value(2)).await.unwrap();
    for _ in 0..10 {
        clock.advance(SOFT);
        settle().await;
    }
    assert_eq!(db.queries(), 3);
    let task = cache.scope(async {
        assert!(value::peek(1).await.is_none());
        assert!(value::peek(2).await.is_none());
    });
    task.await;
    // Loaded once more it is watched once more.
    cache.scope(value(1)).await.unwrap();
    clock.advance(MOMENT);
    cache.get::<u64>("value:1").await.unwrap();
    clock.advance(SOFT);
    settle().await;
    assert_eq!(db.queries(), 5);
}

#[tokio::test]
async fn what_is_invalidated_is_not_loaded_until_it_is_asked_for() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    let read = async || {
        clock.advance(MOMENT);
        cache.scope(value(1)).await.unwrap()
    };
    read().await;
    read().await;
    cache.scope(change(1)).await;
    clock.advance(SOFT);
    settle().await;
    assert_eq!(db.queries(), 1);
    read().await;
    read().await;
    clock.advance(SOFT);
    settle().await;
    assert_eq!(db.queries(), 3);
    // Invalidated while it is being replaced: what the load found is not stored.
    db.gate.close();
    read().await;
    clock.advance(SOFT);
    settle().await;
    assert_eq!(db.queries(), 4);
    cache.scope(change(1)).await;
    db.gate.open();
    settle().await;
    assert!(cache.scope(value::peek(1)).await.is_none());
    clock.advance(SOFT);
    settle().await;
    assert_eq!(db.queries(), 4);
}

#[tokio::test]
async fn what_a_tag_has_invalidated_is_not_loaded_either() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    let task = cache.scope(async {
        tagged(1).await.unwrap();
        clock.advance(MOMENT);
        tagged(1).await.unwrap();
        clock.advance(SOFT);
        settle().await;
        assert_eq!(tagged(1).await.unwrap(), 2);
        clock.advance(MOMENT);
        tagged(1).await.unwrap();
        cache.invalidate_tag("of:1").await.unwrap();
        clock.advance(SOFT);
        settle().await;
        assert_eq!(db.queries(), 2);
        assert_eq!(tagged(1).await.unwrap(), 3);
    });
    task.await;
}

#[tokio::test]
async fn a_load_that_fails_keeps_the_old_value_and_is_tried_again_ever_more_seldom() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    let old = async || cache.scope(value::peek(1)).await.map(Result::unwrap);
    cache.scope(value(1)).await.unwrap();
    clock.advance(MOMENT);
    cache.scope(value(1)).await.unwrap();
    db.down.store(true, SeqCst);
    clock.advance(SOFT);
    settle().await;
    assert_eq!((db.queries(), old().await), (2, Some(1)));
    // 0.5 s, 1 s, 2 s.
    for (pause, query) in [(500, 3), (1000, 4)] {
        clock.advance(Duration::from_millis(pause - 1));
        settle().await;
        assert_eq!(db.queries(), query - 1, "{pause}");
        clock.advance(MOMENT);
        settle().await;
        assert_eq!((db.queries(), old().await), (query, Some(1)), "{pause}");
    }
    // A panic is a failure like any other.
    db.panics.store(true, SeqCst);
    clock.advance(Duration::from_secs(2));
    settle().await;
    assert_eq!((db.queries(), old().await), (5, Some(1)));
    db.panics.store(false, SeqCst);
    db.down.store(false, SeqCst);
    clock.advance(Duration::from_secs(4));
    settle().await;
    assert_eq!((db.queries(), old().await), (6, Some(6)));
}

#[tokio::test]
async fn a_loader_that_goes_on_failing_is_left_alone_when_the_value_is_gone() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    cache.scope(value(1)).await.unwrap();
    clock.advance(MOMENT);
    cache.scope(value(1)).await.unwrap();
    db.down.store(true, SeqCst);
    for _ in 0..400 {
        clock.advance(Duration::from_secs(1));
        settle().await;
    }
    let after = db.queries();
    assert!((5..30).contains(&after), "{after}");
    clock.advance(HOUR);
    settle().await;
    assert_eq!(db.queries(), after);
}

#[tokio::test]
async fn a_read_that_is_before_the_task_has_the_old_value_at_once() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    cache.scope(value(1)).await.unwrap();
    // The clock leaps, and the call is first.
    clock.advance(SOFT);
    db.gate.close();
    assert_eq!(cache.scope(value(1)).await.unwrap(), 1);
    settle().await;
    assert_eq!(cache.scope(value(1)).await.unwrap(), 1);
    assert_eq!(db.queries(), 2);
    db.gate.open();
    settle().await;
    assert_eq!(cache.scope(value(1)).await.unwrap(), 2);
    assert_eq!(cache.stats().function(value::SPEC).stale_hits, 2);
}

#[tokio::test]
async fn caches_that_share_a_store_load_once_a_period() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let store = Arc::new(Memory::builder().clock(&clock).build().unwrap());
    let one = moved(&db, &clock)
        .backend(Arc::clone(&store))
        .build()
        .await
        .unwrap();
    let other = moved(&db, &clock).backend(store).build().await.unwrap();
    one.scope(value(1)).await.unwrap();
    for period in 1..=5 {
        clock.advance(MOMENT);
        one.scope(value(1)).await.unwrap();
        other.scope(value(1)).await.unwrap();
        clock.advance(SOFT - MOMENT);
        settle().await;
        // A process that found the other at work looks again.
        clock.advance(Duration::from_secs(1));
        settle().await;
        assert_eq!(db.queries(), period + 1);
    }
}

#[tokio::test]
async fn on_a_server_an_entry_that_is_read_is_replaced_by_one_process_at_a_time() {
    let server = RedisServer::start().await;
    let db = Db::open();
    let cache = async || {
        let builder = Cache::builder().url(&server.url()).unwrap();
        let builder = builder.provide(db.clone()).provide(Other(db.clone()));
        let builder = builder.operation_timeout(PATIENCE);
        builder.build().await.unwrap()
    };
    let (one, other) = (cache().await, cache().await);
    one.scope(soon(1)).await.unwrap();
    // Nobody reads where the entry was loaded. The other process knows of it by its first hit, and needs no second one.
    other.scope(soon(1)).await.unwrap();
    eventually(DEADLINE, || async { db.queries() == 2 }).await;
    eventually(DEADLINE, || async {
        other.scope(soon(1)).await.unwrap() >= 3
    })
    .await;
    assert_eq!(one.stats().function(soon::SPEC).refreshes, 0);
    let stats = other.stats().function(soon::SPEC);
    assert_eq!(stats.misses, 0, "{stats:?}");
    assert!(stats.refreshes >= 2, "{stats:?}");
    // Both read.
    eventually(DEADLINE, || async {
        one.scope(soon(1)).await.unwrap();
        other.scope(soon(1)).await.unwrap() >= 10
    })
    .await;
    let begun = db.begun.lock().unwrap().clone();
    let shortest = begun.windows(2).map(|pair| pair[1] - pair[0]).min();
    // Two loads in one period would follow each other at once.
    assert!(shortest.unwrap() > SOON / 2, "{begun:?}");
}

#[tokio::test]
async fn what_is_put_is_watched_and_so_is_a_none() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    let task = cache.scope(async {
        value::put(1, 100).await.unwrap();
        clock.advance(MOMENT);
        assert_eq!(value(1).await.unwrap(), 100);
        clock.advance(SOFT);
        settle().await;
        assert_eq!(value::peek(1).await.unwrap().unwrap(), 1);
        none(1).await.unwrap();
        clock.advance(MOMENT);
        none(1).await.unwrap();
        clock.advance(SOFT);
        settle().await;
        assert_eq!(db.queries(), 3);
    });
    task.await;
}

#[tokio::test]
async fn what_a_writer_stores_meanwhile_is_replaced_in_its_turn() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    let task = cache.scope(async {
        value(1).await.unwrap();
        clock.advance(MOMENT);
        value(1).await.unwrap();
        // Due after 200 s, and by then no older than 50 s.
        clock.advance(Duration::from_secs(150));
        save(1, 100).await.unwrap();
        clock.advance(MOMENT);
        assert_eq!(value(1).await.unwrap(), 100);
        clock.advance(Duration::from_secs(50));
        settle().await;
        assert_eq!(db.queries(), 1);
        clock.advance(Duration::from_secs(150));
        settle().await;
        assert_eq!(db.queries(), 2);
        assert_eq!(value::peek(1).await.unwrap().unwrap(), 2);
    });
    task.await;
}

#[tokio::test]
async fn what_only_a_writer_has_stored_is_replaced_once_it_was_read() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    let task = cache.scope(async {
        save(1, 100).await.unwrap();
        save(2, 200).await.unwrap();
        clock.advance(MOMENT);
        assert_eq!(value(1).await.unwrap(), 100);
        clock.advance(SOFT);
        settle().await;
        assert_eq!(db.queries(), 1);
        assert_eq!(value::peek(1).await.unwrap().unwrap(), 1);
        assert_eq!(value::peek(2).await.unwrap().unwrap(), 200);
    });
    task.await;
}

#[tokio::test]
async fn a_cache_that_is_dropped_replaces_nothing() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    cache.scope(value(1)).await.unwrap();
    clock.advance(MOMENT);
    cache.scope(value(1)).await.unwrap();
    let task_count = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    // It waits for its time.
    settle().await;
    assert_eq!(task_count(), 1);
    drop(cache);
    settle().await;
    assert_eq!(task_count(), 0);
    clock.advance(SOFT);
    settle().await;
    assert_eq!(db.queries(), 1);
}

#[tokio::test]
async fn a_cache_without_loaders_replaces_nothing_by_itself() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).loaders(false).build().await.unwrap();
    cache.scope(value(1)).await.unwrap();
    clock.advance(MOMENT);
    cache.scope(value(1)).await.unwrap();
    clock.advance(SOFT);
    settle().await;
    assert_eq!(db.queries(), 1);
    // A reader is served and has it replaced, as it has what it takes.
    assert_eq!(cache.scope(value(1)).await.unwrap(), 1);
    settle().await;
    assert_eq!(db.queries(), 2);
}

#[tokio::test]
async fn a_loader_that_hangs_keeps_no_other_from_its_work_and_is_given_up() {
    let (hanging, db, clock) = (Db::open(), Db::open(), ManualClock::new());
    let lease = Duration::from_secs(5);
    let cache = Cache::builder().clock(&clock).lease_ttl(lease);
    let cache = cache
        .provide(hanging.clone())
        .provide(Other(db.clone()))
        .build();
    let cache = cache.await.unwrap();
    let read_all = async || {
        for id in 0..50 {
            cache.scope(value(id)).await.unwrap();
        }
    };
    read_all().await;
    clock.advance(MOMENT);
    // Due when the places of the other loader are taken.
    cache.scope(other(1)).await.unwrap();
    clock.advance(MOMENT);
    read_all().await;
    cache.scope(other(1)).await.unwrap();
    hanging.gate.close();
    clock.advance(SOFT);
    settle().await;
    assert_eq!((hanging.queries(), db.queries()), (66, 2));
    // Its other entries have their turn before the value is gone.
    for _ in 0..10 {
        clock.advance(lease);
        settle().await;
    }
    assert!(hanging.queries() >= 82, "{}", hanging.queries());
}

#[tokio::test]
async fn no_more_than_sixteen_loads_of_one_loader_run_at_once() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = moved(&db, &clock).build().await.unwrap();
    let read_all = async || {
        for id in 0..50 {
            cache.scope(value(id)).await.unwrap();
        }
    };
    read_all().await;
    clock.advance(MOMENT);
    read_all().await;
    assert_eq!(db.queries(), 50);
    db.gate.close();
    clock.advance(SOFT);
    settle().await;
    assert_eq!(db.queries(), 66);
    db.gate.open();
    settle().await;
    assert_eq!(db.queries(), 100);
}

/// The executor of a program that has no runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

#[test]
fn without_a_runtime_calls_work_and_nothing_runs_beside_them() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let cache = block_on(moved(&db, &clock).build()).unwrap();
    assert_eq!(block_on(cache.scope(value(1))).unwrap(), 1);
    clock.advance(MOMENT);
    assert_eq!(block_on(cache.scope(value(1))).unwrap(), 1);
    clock.advance(SOFT);
    assert_eq!(block_on(cache.scope(value(1))).unwrap(), 1);
    clock.advance(TTL - SOFT);
    assert_eq!(block_on(cache.scope(value(1))).unwrap(), 2);
}

#[test]
fn another_runtime_goes_on_where_the_first_has_ended() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let cache = runtime().block_on(async {
        let cache = moved(&db, &clock).build().await.unwrap();
        cache.scope(value(1)).await.unwrap();
        cache
    });
    runtime().block_on(async {
        cache.scope(value(2)).await.unwrap();
        clock.advance(MOMENT);
        cache.scope(value(1)).await.unwrap();
        cache.scope(value(2)).await.unwrap();
        clock.advance(SOFT);
        within(settle()).await;
    });
    assert_eq!(db.queries(), 4);
}

#[test]
fn what_waits_for_a_place_is_not_lost_with_its_runtime() {
    let (db, clock) = (Db::open(), ManualClock::new());
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let cache = runtime().block_on(async {
        let cache = moved(&db, &clock).build().await.unwrap();
        for _ in 0..2 {
            for id in 0..50 {
                cache.scope(value(id)).await.unwrap();
            }
            clock.advance(MOMENT);
        }
        db.gate.close();
        clock.advance(SOFT);
        settle().await;
        cache
    });
    assert_eq!(db.queries(), 66);
    db.gate.open();
    runtime().block_on(async {
        // Whoever comes first brings the task back.
        cache.scope(other(1)).await.unwrap();
        settle().await;
        assert_eq!(db.queries(), 67 + 34);
        // Those that were under way are tried again after a pause.
        clock.advance(Duration::from_secs(1));
        within(settle()).await;
    });
    assert_eq!(db.queries(), 67 + 34 + 16);
}
