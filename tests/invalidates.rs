//! What `#[invalidates]`, `Cache::in_transaction` and the calls on `Cache` promise about which entries go, and when.

use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, Key, ManualClock, cached, carry, invalidates};
use tests::{
    DEADLINE, Gate, RedisServer, eventually, in_memory, on_each_backend, on_redis, redis_builder,
    within,
};

/// Stands for the database: a version that each write raises.
#[derive(Default)]
struct Db(AtomicU64);

impl Db {
    fn query(&self) -> u64 {
        self.0.load(SeqCst)
    }

    fn update(&self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[derive(Debug, Clone, PartialEq)]
enum WriteError {
    Failed,
    Cache,
}

impl From<cache_runtime::Error> for WriteError {
    fn from(_: cache_runtime::Error) -> Self {
        Self::Cache
    }
}

#[cached(key = "item:<id>")]
async fn item(db: &Db, id: &str) -> u64 {
    let _ = id;
    db.query()
}

/// Which of the items are cached.
async fn there<'a>(ids: &[&'a str]) -> Vec<&'a str> {
    let mut there = Vec::new();
    for id in ids {
        if item::peek(id).await.is_some() {
            there.push(*id);
        }
    }
    there
}

async fn fill(ids: &[&str]) {
    let db = Db::default();
    for id in ids {
        item(&db, id).await;
    }
    assert_eq!(there(ids).await, ids);
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Ok,
    Err,
    Panic,
    Drop,
}

impl End {
    const ALL: [Self; 4] = [Self::Ok, Self::Err, Self::Panic, Self::Drop];

    /// Comes to this end.
    async fn come(self) -> Result<u64, WriteError> {
        match self {
            Self::Ok => Ok(1),
            Self::Err => Err(WriteError::Failed),
            Self::Panic => panic!("as told"),
            Self::Drop => std::future::pending().await,
        }
    }

    /// Runs a call that comes to this end, and does not return before it has.
    async fn of(
        self,
        begun: Gate,
        call: impl Future<Output = Result<u64, WriteError>> + Send + 'static,
    ) {
        let task = tokio::spawn(carry(call));
        begun.arrived(1).await;
        if self == Self::Drop {
            task.abort();
        }
        let result = within(task).await;
        match self {
            Self::Ok => assert_eq!(result.unwrap(), Ok(1)),
            Self::Err => assert_eq!(result.unwrap(), Err(WriteError::Failed)),
            Self::Panic => assert!(result.unwrap_err().is_panic()),
            Self::Drop => assert!(result.unwrap_err().is_cancelled()),
        }
    }
}

/// A gate that holds nobody and only counts.
fn counter() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}

mod when {
    use super::*;

    #[invalidates("item:<id>")]
    async fn write(begun: Gate, id: String, end: End) -> Result<u64, WriteError> {
        begun.pass().await;
        end.come().await
    }

    #[invalidates("item:<id>", when = "ok")]
    async fn write_if_ok(begun: Gate, id: String, end: End) -> Result<u64, WriteError> {
        begun.pass().await;
        end.come().await
    }

    #[invalidates("item:<id>", when = "ok")]
    async fn write_option(id: &str) -> Option<u64> {
        let _ = id;
        None
    }

    #[tokio::test]
    async fn a_writer_invalidates_however_it_ends() {
        on_each_backend(async |_| {
            for end in End::ALL {
                fill(&["1", "2"]).await;
                let begun = counter();
                end.of(begun.clone(), write(begun, "1".into(), end)).await;
                // After a panic and a drop there is nobody to wait for it.
                eventually(DEADLINE, async || there(&["1"]).await.is_empty()).await;
                assert_eq!(there(&["2"]).await, ["2"], "{end:?}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_writer_that_returns_has_invalidated() {
        on_each_backend(async |_| {
            for end in [End::Ok, End::Err] {
                fill(&["1"]).await;
                let _ = write(counter(), "1".into(), end).await;
                assert!(there(&["1"]).await.is_empty(), "{end:?}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_writer_that_is_dropped_before_its_first_poll_did_nothing() {
        on_each_backend(async |_| {
            fill(&["1"]).await;
            drop(write(counter(), "1".into(), End::Ok));
            assert_eq!(there(&["1"]).await, ["1"]);
        })
        .await;
    }

    #[tokio::test]
    async fn when_ok_a_writer_that_did_not_succeed_leaves_the_entry() {
        on_each_backend(async |_| {
            for end in End::ALL {
                fill(&["1", "2"]).await;
                let begun = counter();
                end.of(begun.clone(), write_if_ok(begun, "1".into(), end))
                    .await;
                // What a drop would do in the background is done by then.
                write(counter(), "2".into(), End::Ok).await.unwrap();
                assert_eq!(there(&["1"]).await.is_empty(), end == End::Ok, "{end:?}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn when_ok_a_writer_that_returns_no_result_always_succeeds() {
        on_each_backend(async |_| {
            fill(&["1"]).await;
            assert_eq!(write_option("1").await, None);
            assert!(there(&["1"]).await.is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn the_entry_is_readable_while_the_writer_runs() {
        on_each_backend(async |_| {
            fill(&["1"]).await;
            let gate = Gate::new();
            let writing = tokio::spawn(carry(write(gate.clone(), "1".into(), End::Ok)));
            gate.arrived(1).await;
            assert_eq!(there(&["1"]).await, ["1"]);
            gate.open();
            within(writing).await.unwrap().unwrap();
            assert!(there(&["1"]).await.is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn a_read_after_the_writer_sees_what_it_wrote() {
        #[invalidates("item:<id>")]
        async fn raise(db: &Db, id: &str) {
            let _ = id;
            db.update();
        }
        on_each_backend(async |_| {
            let db = Db::default();
            for version in 0..20 {
                assert_eq!(
                    (item(&db, "1").await, item(&db, "1").await),
                    (version, version)
                );
                raise(&db, "1").await;
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_writer_in_one_process_invalidates_for_every_other() {
        let server = RedisServer::start().await;
        let (here, elsewhere) = (on_redis(&server).await, on_redis(&server).await);
        elsewhere.scope(fill(&["1", "2"])).await;
        here.scope(write(counter(), "1".into(), End::Ok))
            .await
            .unwrap();
        assert_eq!(elsewhere.scope(there(&["1", "2"])).await, ["2"]);
    }

    #[tokio::test]
    async fn what_the_body_returns_panics_with_or_borrows_is_the_writers_own() {
        #[invalidates("item:<id>")]
        async fn borrowing<'a>(id: &str, log: &'a mut Vec<String>) -> &'a mut Vec<String> {
            log.push(id.to_owned());
            log
        }
        let mut log = Vec::new();
        in_memory()
            .await
            .scope(async { borrowing("1", &mut log).await.push("2".into()) })
            .await;
        assert_eq!(log, ["1", "2"]);
        let panic = tokio::spawn(write(counter(), "1".into(), End::Panic))
            .await
            .unwrap_err()
            .into_panic();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"as told"));
    }
}

mod which {
    use super::*;

    #[invalidates("item:<id>", "item:of-<org>", "item:all")]
    async fn several(id: &str, org: u64) {
        let _ = (id, org);
    }

    #[invalidates("item:1")]
    #[invalidates("item:2", when = "ok")]
    #[invalidates("item:3")]
    async fn stacked(end: End) -> Result<u64, WriteError> {
        end.come().await
    }

    #[invalidates("item:<ids[]>")]
    async fn each(ids: Vec<String>) {
        drop(ids);
    }

    #[invalidates("item:<ids[]>")]
    async fn each_of_set(ids: HashSet<&str>) {
        drop(ids);
    }

    #[invalidates("item:<ids[]>")]
    async fn each_of_ordered(ids: &BTreeSet<u8>) {
        let _ = ids;
    }

    #[invalidates("item:<id[]>")]
    async fn each_of_option(id: Option<&str>) {
        let _ = id;
    }

    struct Order {
        id: u64,
        lines: Vec<Line>,
    }

    struct Line {
        sku: &'static str,
    }

    #[invalidates("item:<order.id>", "item:<order.lines[].sku>")]
    async fn fields(order: Order) {
        drop(order);
    }

    #[invalidates("item:<return.id>", "item:<name>", "item:<return.lines[].sku>")]
    async fn created(
        name: &str,
        order: Result<Option<Order>, WriteError>,
    ) -> Result<Option<Order>, WriteError> {
        let _ = name;
        order
    }

    const ALL: [&str; 5] = ["1", "2", "3", "all", "of-7"];

    #[tokio::test]
    async fn every_template_of_a_writer_is_invalidated_and_nothing_else() {
        on_each_backend(async |_| {
            fill(&ALL).await;
            several("1", 7).await;
            assert_eq!(there(&ALL).await, ["2", "3"]);
        })
        .await;
    }

    #[tokio::test]
    async fn stacked_annotations_each_keep_their_own_rule() {
        on_each_backend(async |_| {
            fill(&ALL).await;
            stacked(End::Err).await.unwrap_err();
            assert_eq!(there(&ALL).await, ["2", "all", "of-7"]);
            stacked(End::Ok).await.unwrap();
            assert_eq!(there(&ALL).await, ["all", "of-7"]);
        })
        .await;
    }

    #[tokio::test]
    async fn brackets_stand_for_each_element_of_a_collection() {
        on_each_backend(async |_| {
            fill(&ALL).await;
            each(vec![]).await;
            each_of_option(None).await;
            assert_eq!(there(&ALL).await, ALL);
            each(vec!["1".into(), "3".into(), "1".into(), "none such".into()]).await;
            assert_eq!(there(&ALL).await, ["2", "all", "of-7"]);
            each_of_set(HashSet::from(["all"])).await;
            each_of_ordered(&BTreeSet::from([2])).await;
            each_of_option(Some("of-7")).await;
            assert!(there(&ALL).await.is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn thousands_of_elements_are_all_invalidated() {
        on_each_backend(async |_| {
            let ids: Vec<String> = (0..2500).map(|n| format!("n{n}")).collect();
            for id in ids.iter().step_by(100) {
                item::put(id, 1).await.unwrap();
            }
            fill(&["other"]).await;
            each(ids.clone()).await;
            for id in ids.iter().step_by(100) {
                assert!(item::peek(id).await.is_none(), "{id}");
            }
            assert_eq!(there(&["other"]).await, ["other"]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_placeholder_reaches_into_fields() {
        on_each_backend(async |_| {
            fill(&ALL).await;
            fields(Order {
                id: 2,
                lines: vec![Line { sku: "all" }, Line { sku: "1" }],
            })
            .await;
            assert_eq!(there(&ALL).await, ["3", "of-7"]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_template_may_read_the_result_where_there_is_one() {
        on_each_backend(async |_| {
            let order = || Order {
                id: 2,
                lines: vec![Line { sku: "3" }],
            };
            fill(&ALL).await;
            assert!(created("all", Ok(Some(order()))).await.is_ok());
            assert_eq!(there(&ALL).await, ["1", "of-7"]);
            for nothing in [Ok(None), Err(WriteError::Failed)] {
                fill(&ALL).await;
                let _ = created("all", nothing).await;
                assert_eq!(there(&ALL).await, ["1", "2", "3", "of-7"]);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_value_with_a_separator_in_it_invalidates_its_own_entry_only() {
        on_each_backend(async |_| {
            let awkward = ["of:7", "of", "*", "", "%3A", "a{b}"];
            for id in awkward {
                fill(&awkward).await;
                each(vec![id.to_owned()]).await;
                assert_eq!(there(&awkward).await.len(), awkward.len() - 1);
                assert!(there(&[id]).await.is_empty(), "{id:?}");
            }
        })
        .await;
    }
}

mod transactions {
    use super::*;

    #[invalidates("item:<id>")]
    async fn write(id: &str) {
        let _ = id;
    }

    #[invalidates("item:<id>", when = "ok")]
    async fn write_if_ok(id: &str, result: Result<(), WriteError>) -> Result<(), WriteError> {
        let _ = id;
        result
    }

    #[invalidates("item:<id>", consistency = "strict")]
    async fn write_strictly(id: &str) -> Result<(), WriteError> {
        let _ = id;
        Ok(())
    }

    #[invalidates("item:<id>", cache = cache)]
    async fn write_to(cache: &Cache, id: &str) {
        let _ = (cache, id);
    }

    /// A transaction that writes item 1 and then waits at `begun` before it comes to its end.
    async fn transaction(cache: Cache, begun: Gate, end: End) -> Result<u64, WriteError> {
        cache
            .in_transaction(async {
                write("1").await;
                begun.pass().await;
                end.come().await
            })
            .await
    }

    #[tokio::test]
    async fn an_invalidation_takes_effect_when_the_transaction_has_ended_however_it_ends() {
        on_each_backend(async |cache| {
            for end in End::ALL {
                fill(&["1", "2"]).await;
                let begun = Gate::new();
                let task = tokio::spawn(carry(transaction(cache.clone(), begun.clone(), end)));
                begun.arrived(1).await;
                assert_eq!(
                    there(&["1"]).await,
                    ["1"],
                    "{end:?}: the commit has not come yet"
                );
                begun.open();
                if end == End::Drop {
                    task.abort();
                }
                let result = within(task).await;
                if matches!(end, End::Ok | End::Err) {
                    assert!(there(&["1"]).await.is_empty(), "{end:?}: it has returned");
                    assert!(result.is_ok());
                }
                eventually(DEADLINE, async || there(&["1"]).await.is_empty()).await;
                assert_eq!(there(&["2"]).await, ["2"], "{end:?}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn inside_a_read_of_a_written_key_goes_to_the_database_and_stores_nothing() {
        on_each_backend(async |cache| {
            let db = Db::default();
            item(&db, "1").await;
            item(&db, "2").await;
            cache
                .in_transaction(async {
                    assert_eq!(item(&db, "1").await, 0, "not written yet");
                    db.update();
                    write("1").await;
                    assert_eq!(
                        item(&db, "1").await,
                        1,
                        "the transaction sees its own write"
                    );
                    assert_eq!(item(&db, "2").await, 0, "other keys are cached as ever");
                    assert_eq!(
                        item::peek("1").await,
                        Some(0),
                        "an uncommitted value is nobody's"
                    );
                })
                .await;
            assert_eq!(item::peek("1").await, None);
            assert_eq!(item(&db, "1").await, 1);
        })
        .await;
    }

    #[tokio::test]
    async fn an_uncommitted_value_is_not_stored_where_there_was_none() {
        on_each_backend(async |cache| {
            let db = Db::default();
            cache
                .in_transaction(async {
                    write("1").await;
                    db.update();
                    assert_eq!(item(&db, "1").await, 1);
                    assert_eq!(item::peek("1").await, None);
                })
                .await;
        })
        .await;
    }

    #[tokio::test]
    async fn the_key_is_noted_before_the_writers_body_runs() {
        #[invalidates("item:<id>")]
        async fn write_and_read(db: &Db, id: &str) -> u64 {
            db.update();
            item(db, id).await
        }
        on_each_backend(async |cache| {
            let db = Db::default();
            fill(&["1"]).await;
            assert_eq!(cache.in_transaction(write_and_read(&db, "1")).await, 1);
        })
        .await;
    }

    #[tokio::test]
    async fn outside_others_read_on_until_the_commit() {
        on_each_backend(async |cache| {
            let db = Db::default();
            item(&db, "1").await;
            let begun = Gate::new();
            let task = tokio::spawn(carry(transaction(cache.clone(), begun.clone(), End::Ok)));
            begun.arrived(1).await;
            db.update();
            assert_eq!(item(&db, "1").await, 0, "a hit");
            begun.open();
            within(task).await.unwrap().unwrap();
            assert_eq!(item(&db, "1").await, 1);
        })
        .await;
    }

    #[tokio::test]
    async fn a_transaction_inside_another_is_part_of_it() {
        async fn and_panics(cache: Cache) {
            cache
                .in_transaction(async {
                    write("2").await;
                    panic!("as told");
                })
                .await;
        }
        on_each_backend(async |cache| {
            fill(&["1", "2"]).await;
            let outer = async {
                cache.in_transaction(write("1")).await;
                assert_eq!(
                    there(&["1"]).await,
                    ["1"],
                    "the outer one may yet be rolled back"
                );
                let inner = tokio::spawn(carry(and_panics(cache.clone())));
                assert!(within(inner).await.unwrap_err().is_panic());
                assert_eq!(there(&["2"]).await, ["2"]);
            };
            cache.in_transaction(outer).await;
            assert!(there(&["1", "2"]).await.is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn a_transaction_or_a_scope_does_not_multiply_the_size_of_its_work() {
        let (cache, work) = (in_memory().await, || std::future::ready([0_u8; 10_000]));
        let size = size_of_val(&work());
        for wrapped in [
            size_of_val(&cache.scope(work())),
            size_of_val(&cache.in_transaction(work())),
        ] {
            assert!(
                wrapped < 2 * size + 4096,
                "{size} bytes of work made a future of {wrapped}: nested, it overflows the stack"
            );
        }
    }

    #[tokio::test]
    async fn spawned_work_is_part_of_it_only_if_it_is_carried() {
        on_each_backend(async |cache| {
            fill(&["1", "2"]).await;
            cache
                .in_transaction(async {
                    let scope = cache.clone();
                    tokio::spawn(async move { scope.scope(write("1")).await })
                        .await
                        .unwrap();
                    tokio::spawn(carry(write("2"))).await.unwrap();
                    assert_eq!(there(&["1", "2"]).await, ["2"]);
                })
                .await;
            assert!(there(&["2"]).await.is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn a_writer_that_failed_when_ok_is_asked_notes_nothing() {
        on_each_backend(async |cache| {
            fill(&["1", "2"]).await;
            cache
                .in_transaction(async {
                    write_if_ok("1", Err(WriteError::Failed)).await.unwrap_err();
                    write_if_ok("2", Ok(())).await.unwrap();
                })
                .await;
            assert_eq!(there(&["1", "2"]).await, ["1"]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_transaction_reaches_every_cache_that_was_written_to() {
        on_each_backend(async |cache| {
            let other = in_memory().await;
            fill(&["1", "2"]).await;
            other.scope(fill(&["1", "2"])).await;
            cache
                .in_transaction(async {
                    write_to(&other, "1").await;
                    write("2").await;
                    assert_eq!(other.scope(there(&["1", "2"])).await, ["1", "2"]);
                })
                .await;
            assert_eq!(there(&["1", "2"]).await, ["1"]);
            assert_eq!(other.scope(there(&["1", "2"])).await, ["2"]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_transaction_is_in_the_scope_of_its_cache() {
        let (cache, other) = (in_memory().await, in_memory().await);
        cache.scope(fill(&["1"])).await;
        other.scope(fill(&["1"])).await;
        other.scope(cache.in_transaction(write("1"))).await;
        assert!(cache.scope(there(&["1"])).await.is_empty());
        assert_eq!(other.scope(there(&["1"])).await, ["1"]);
    }

    #[tokio::test]
    async fn a_strict_writer_inside_keeps_readers_off_the_cache_until_the_commit() {
        on_each_backend(async |cache| {
            let db = Db::default();
            fill(&["1"]).await;
            let (written, commit) = (Gate::new(), Gate::new());
            let task = tokio::spawn(carry({
                let (cache, written, commit) = (cache.clone(), written.clone(), commit.clone());
                async move {
                    cache
                        .in_transaction(async {
                            write_strictly("1").await.unwrap();
                            written.pass().await;
                            commit.pass().await;
                        })
                        .await;
                }
            }));
            written.arrived(1).await;
            for _ in 0..3 {
                assert_eq!(item(&db, "1").await, db.query(), "loaded, and not stored");
                assert!(there(&["1"]).await.is_empty());
                db.update();
            }
            written.open();
            commit.open();
            within(task).await.unwrap();
            assert_eq!(item(&db, "1").await, 3);
            assert_eq!(there(&["1"]).await, ["1"], "stored again after the commit");
        })
        .await;
    }

    #[tokio::test]
    async fn a_strict_writer_whose_transaction_was_dropped_keeps_readers_off_until_its_intent_expires()
     {
        let (clock, db) = (ManualClock::new(), Db::default());
        let cache = Cache::builder()
            .clock(&clock)
            .intent_ttl(Duration::from_secs(10))
            .build()
            .await
            .unwrap();
        cache
            .scope(async {
                let begun = counter();
                let task = tokio::spawn(carry({
                    let (cache, begun) = (cache.clone(), begun.clone());
                    async move {
                        cache
                            .in_transaction(async {
                                write_strictly("1").await.unwrap();
                                begun.pass().await;
                                std::future::pending::<()>().await;
                            })
                            .await;
                    }
                }));
                begun.arrived(1).await;
                task.abort();
                task.await.unwrap_err();
                // The database may commit it yet.
                clock.advance(Duration::from_millis(9_999));
                item(&db, "1").await;
                assert!(there(&["1"]).await.is_empty());
                clock.advance(Duration::from_millis(1));
                item(&db, "1").await;
                assert_eq!(there(&["1"]).await, ["1"]);
            })
            .await;
    }
}

mod by_hand {
    use super::*;

    #[tokio::test]
    async fn invalidate_removes_the_entry_of_the_key_and_no_other() {
        on_each_backend(async |cache| {
            fill(&["1", "2", "3"]).await;
            cache.invalidate("item:1").await.unwrap();
            cache.invalidate(item::key("2")).await.unwrap();
            cache.invalidate("item:none such").await.unwrap();
            assert_eq!(there(&["1", "2", "3"]).await, ["3"]);
        })
        .await;
    }

    #[tokio::test]
    async fn invalidate_all_removes_the_entries_of_all_keys() {
        on_each_backend(async |cache| {
            fill(&["1", "2", "3"]).await;
            cache.invalidate_all(Vec::<Key>::new()).await.unwrap();
            cache
                .invalidate_all(["item:1", "item:3", "item:3"])
                .await
                .unwrap();
            assert_eq!(there(&["1", "2", "3"]).await, ["2"]);
        })
        .await;
    }

    #[tokio::test]
    async fn clear_removes_every_entry_of_the_cache() {
        on_each_backend(async |cache| {
            fill(&["1", "2", "3"]).await;
            cache.clear().await.unwrap();
            assert!(there(&["1", "2", "3"]).await.is_empty());
            fill(&["1"]).await;
        })
        .await;
    }

    #[tokio::test]
    async fn clear_leaves_other_namespaces_and_other_programs_keys() {
        let server = RedisServer::start().await;
        let () = server
            .query(redis::cmd("SET").arg("item:1").arg("another program's"))
            .await;
        let shop = redis_builder(&server)
            .namespace("shop")
            .build()
            .await
            .unwrap();
        let shop2 = redis_builder(&server)
            .namespace("shop2")
            .build()
            .await
            .unwrap();
        shop.scope(fill(&["1"])).await;
        shop2.scope(fill(&["1"])).await;
        shop.clear().await.unwrap();
        assert!(shop.scope(there(&["1"])).await.is_empty());
        assert_eq!(shop2.scope(there(&["1"])).await, ["1"]);
        assert_eq!(
            server
                .query::<String>(redis::cmd("GET").arg("item:1"))
                .await,
            "another program's"
        );
    }

    #[tokio::test]
    async fn a_load_under_way_when_the_cache_is_cleared_is_not_stored() {
        #[cached(key = "slow")]
        async fn slow(gate: Gate, answers: std::sync::Arc<Mutex<u64>>) -> u64 {
            let answer = {
                let mut answers = answers.lock().unwrap();
                *answers += 1;
                *answers
            };
            gate.pass().await;
            answer
        }
        on_each_backend(async |cache| {
            let (gate, answers) = (Gate::new(), std::sync::Arc::default());
            let early = tokio::spawn(carry(slow(gate.clone(), std::sync::Arc::clone(&answers))));
            gate.arrived(1).await;
            cache.clear().await.unwrap();
            gate.open();
            assert_eq!(within(early).await.unwrap(), 1);
            assert_eq!(within(slow(gate, answers)).await, 2);
            assert_eq!(cache.stats().function(slow::SPEC).rejected_fills, 1);
        })
        .await;
    }
}
