//! What readers see of a write that has not been written yet.

use cache_runtime::{Cache, ManualClock, cached, invalidates};
use std::time::Duration;
use tests::{RedisServer, within};

use crate::ledger::{Ledger, LedgerError, in_memory, on_each, provided};

#[cached(pattern = "write-behind", key = "pending:<id>", value = text, ttl = 60, flush = "1h")]
async fn save(
    #[context] ledger: &Ledger,
    id: u64,
    text: String,
    #[sequence] sequence: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, text, sequence).await
}

#[cached(key = "pending:<id>", ttl = 60)]
async fn load(ledger: &Ledger, id: u64) -> Option<String> {
    ledger.texts(id).pop()
}

#[invalidates("pending:<id>")]
async fn touch(id: u64) {
    let _ = id;
}

#[tokio::test]
async fn a_call_returns_before_its_body_runs_and_readers_see_its_value() {
    on_each(async |cache, ledger| {
        assert_eq!(load(&ledger, 1).await, None);
        save(1, "one".to_owned()).await.unwrap();
        assert_eq!(ledger.lines(), []);
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
        let report = cache.flush_now().await.unwrap();
        assert_eq!((report.written, report.remaining), (1, 0));
        assert_eq!(ledger.texts(1), ["one"]);
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
    })
    .await;
}

#[tokio::test]
async fn a_pending_value_survives_the_invalidation_of_its_key_and_the_clearing_of_the_cache() {
    on_each(async |cache, ledger| {
        save(1, "one".to_owned()).await.unwrap();
        touch(1).await;
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
        cache.clear().await.unwrap();
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
        save::invalidate(1).await.unwrap();
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
        cache.flush_now().await.unwrap();
        assert_eq!(ledger.texts(1), ["one"]);
        // It is an entry like any other from now on.
        touch(1).await;
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
    })
    .await;
}

#[tokio::test]
async fn a_pending_value_outlives_its_ttl_until_it_is_written() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        save(1, "one".to_owned()).await.unwrap();
        clock.advance(Duration::from_secs(61));
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
        assert_eq!(cache.stats().function(load::SPEC).loads, 0);
        cache.flush_now().await.unwrap();
        clock.advance(Duration::from_secs(61));
        load(&ledger, 1).await;
        assert_eq!(cache.stats().function(load::SPEC).loads, 1);
    }))
    .await;
}

#[tokio::test]
async fn a_pending_value_on_redis_comes_back_when_the_entry_was_evicted() {
    let server = RedisServer::start().await;
    let ledger = Ledger::new();
    let builder = provided(tests::redis_builder(&server), &ledger);
    let cache = builder.namespace("n").build().await.unwrap();
    within(cache.scope(async {
        save(1, "one".to_owned()).await.unwrap();
        let gone: u32 = server.query(redis::cmd("DEL").arg("{n:pending:1}")).await;
        assert_eq!(gone, 1);
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
        assert_eq!(cache.stats().function(load::SPEC).loads, 0);
    }))
    .await;
}

#[tokio::test]
async fn a_load_from_before_the_write_does_not_replace_its_value() {
    on_each(async |cache, ledger| {
        let gate = tests::Gate::new();
        let slow = tokio::spawn({
            let (cache, gate) = (cache.clone(), gate.clone());
            async move { cache.scope(slow_load(&gate, 1)).await }
        });
        gate.arrived(1).await;
        save(1, "new".to_owned()).await.unwrap();
        gate.open();
        assert_eq!(slow.await.unwrap(), "old");
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("new"));
    })
    .await;
}

#[cached(key = "pending:<id>", ttl = 60)]
async fn slow_load(gate: &tests::Gate, id: u64) -> String {
    let _ = id;
    gate.pass().await;
    "old".to_owned()
}

#[tokio::test]
async fn a_refresh_of_a_pending_key_gives_what_is_pending() {
    on_each(async |_, ledger| {
        save(1, "one".to_owned()).await.unwrap();
        assert_eq!(load::refresh(&ledger, 1).await.as_deref(), Some("one"));
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
    })
    .await;
}

#[tokio::test]
async fn another_process_sees_the_pending_value_and_its_worker_writes_it() {
    let store = std::sync::Arc::new(cache_runtime::backend::Memory::new());
    let (here, there) = (Ledger::new(), Ledger::new());
    let writer = cache_runtime::WriteBehind::new().worker(false);
    let one = Cache::builder()
        .backend(store.clone())
        .provide(here.clone())
        .write_behind(writer)
        .build()
        .await
        .unwrap();
    let other = provided(Cache::builder().backend(store), &there)
        .build()
        .await
        .unwrap();
    one.scope(save(1, "one".to_owned())).await.unwrap();
    assert_eq!(other.scope(load(&there, 1)).await.as_deref(), Some("one"));
    assert_eq!(one.flush_now().await.unwrap().remaining, 1);
    assert_eq!(other.flush_now().await.unwrap().written, 1);
    assert_eq!(
        (here.texts(1), there.texts(1)),
        (vec![], vec!["one".to_owned()])
    );
}

#[tokio::test]
async fn a_writer_without_a_value_leaves_the_entry_until_it_is_written_and_removes_it_then() {
    #[cached(pattern = "write-behind", key = "pending:<id>", value = none, flush = "1h")]
    async fn rename(
        #[context] ledger: &Ledger,
        id: u64,
        text: &str,
        #[sequence] sequence: u64,
    ) -> Result<(), LedgerError> {
        ledger.write(id, text.to_owned(), sequence).await
    }

    on_each(async |cache, ledger| {
        ledger.write(1, "old".to_owned(), 0).await.unwrap();
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("old"));
        rename(1, "new").await.unwrap();
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("old"));
        cache.flush_now().await.unwrap();
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("new"));
    })
    .await;
}

#[tokio::test]
async fn pending_writes_and_their_lag_are_in_the_statistics() {
    let ledger = Ledger::new();
    let clock = ManualClock::new();
    let builder = provided(Cache::builder().clock(&clock), &ledger);
    let cache = builder.build().await.unwrap();
    within(cache.scope(async {
        save(1, "one".to_owned()).await.unwrap();
        save(2, "two".to_owned()).await.unwrap();
        clock.advance(Duration::from_secs(7));
        let stats = cache.stats().write_behind;
        assert_eq!((stats.pending, stats.lag), (2, Duration::from_secs(7)));
        cache.flush_now().await.unwrap();
        let stats = cache.stats().write_behind;
        assert_eq!(
            (stats.pending, stats.lag, stats.written),
            (0, Duration::ZERO, 2)
        );
        assert_eq!(stats.partitions, 16);
    }))
    .await;
}
