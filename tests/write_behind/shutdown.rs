//! The end of a process: what is drained, what remains, and who takes it over.

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::backend::Memory;
use cache_runtime::{Cache, Error, cached};
use tests::{DEADLINE, Gate, within};

use crate::ledger::{Ledger, LedgerError, Trouble, on_each, provided};

#[cached(pattern = "write-behind", key = "end:<id>", value = none, flush = "1h")]
async fn set(
    #[context] ledger: &Ledger,
    id: u64,
    text: &str,
    #[sequence] sequence: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, text.to_owned(), sequence).await
}

#[tokio::test]
async fn a_shutdown_writes_what_is_pending_and_takes_nothing_more() {
    on_each(async |cache, ledger| {
        for id in 0..50 {
            set(id, "x").await.unwrap();
        }
        let report = cache.shutdown(DEADLINE).await;
        assert_eq!((report.written, report.remaining), (50, 0));
        assert_eq!(ledger.lines().len(), 50);
        let refused = set(1, "late").await;
        assert!(
            matches!(refused, Err(LedgerError::Cache(Error::ShutDown))),
            "{refused:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_waits_for_writes_that_are_to_be_tried_again() {
    on_each(async |cache, ledger| {
        ledger.trouble(1, Trouble::Fails);
        set(1, "x").await.unwrap();
        cache.flush_now().await.unwrap();
        ledger.heal(1);
        let report = cache.shutdown(DEADLINE).await;
        assert_eq!((report.written, report.remaining), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_ends_at_its_deadline_and_tells_what_remains() {
    on_each(async |cache, ledger| {
        let gate = Gate::new();
        ledger.gate(&gate);
        set(1, "x").await.unwrap();
        let report = cache.shutdown(Duration::from_millis(200)).await;
        assert_eq!((report.written, report.remaining), (0, 1));
        // What was running has been dropped.
        gate.open();
        assert!(ledger.lines().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_remains_is_written_by_the_next_process() {
    let store = Arc::new(Memory::new());
    let ledger = Ledger::new();
    let start = async || {
        let builder = Cache::builder().backend(store.clone());
        provided(builder, &ledger).build().await.unwrap()
    };
    let first = start().await;
    let gate = Gate::new();
    ledger.gate(&gate);
    first.scope(set(1, "x")).await.unwrap();
    let report = first.shutdown(Duration::from_millis(100)).await;
    assert_eq!(report.remaining, 1);
    gate.open();
    let second = start().await;
    // The first has given its part of the log back: nobody waits for a lease to expire. The write had begun, so it does not wait for its `flush` again.
    within(second.flush_now()).await.unwrap();
    let stats = second.stats().write_behind;
    assert_eq!((stats.written, stats.pending), (1, 0));
    assert_eq!(ledger.texts(1), ["x"]);
}
