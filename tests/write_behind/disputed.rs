//! Other changes of a row while a write of it has been written and the log does not know yet.

use cache_runtime::{Cache, cached, invalidates};
use tests::Gate;

use crate::ledger::{Ledger, LedgerError, on_each};

#[cached(pattern = "write-behind", key = "disputed:<id>", value = text, ttl = 60, flush = "1h")]
async fn save(
    #[context] ledger: &Ledger,
    id: u64,
    text: String,
    #[sequence] sequence: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, text, sequence).await?;
    ledger.committed().await;
    Ok(())
}

#[cached(key = "disputed:<id>", ttl = 60)]
async fn load(ledger: &Ledger, id: u64) -> Option<String> {
    ledger.texts(id).pop()
}

#[invalidates("disputed:<id>")]
async fn rename(ledger: &Ledger, id: u64, text: &str) -> Result<(), LedgerError> {
    ledger.write(id, text.to_owned(), 0).await
}

#[cached(pattern = "write-through", key = "disputed:<id>", value = text, ttl = 60)]
async fn put(ledger: &Ledger, id: u64, text: String) -> Result<(), LedgerError> {
    ledger.write(id, text, 0).await
}

#[cached(pattern = "write-through", key = "disputed:<id>", value = text, version = "<version>", ttl = 60)]
async fn put_version(
    ledger: &Ledger,
    gate: &Gate,
    id: u64,
    text: String,
    version: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, text, 0).await?;
    gate.pass().await;
    Ok(())
}

/// Makes the change between the commit of a pending write and its end, with a reader after it.
async fn beside_a_written_write(cache: &Cache, ledger: &Ledger, change: impl Future<Output = ()>) {
    let gate = Gate::new();
    ledger.hold_committed(&gate);
    save(1, "pending".to_owned()).await.unwrap();
    let meanwhile = async {
        gate.arrived(1).await;
        change.await;
        load(ledger, 1).await;
        gate.open();
    };
    let (report, ()) = tokio::join!(cache.flush_now(), meanwhile);
    assert_eq!(report.unwrap().remaining, 0);
    assert_eq!(ledger.texts(1), ["pending", "later"]);
    assert_eq!(load(ledger, 1).await.as_deref(), Some("later"));
}

#[tokio::test]
async fn an_invalidation_while_a_write_is_pending_leaves_no_stale_value() {
    on_each(async |cache, ledger| {
        let change = async { rename(&ledger, 1, "later").await.unwrap() };
        beside_a_written_write(&cache, &ledger, change).await;
    })
    .await;
}

#[tokio::test]
async fn a_write_through_while_a_write_is_pending_leaves_no_stale_value() {
    on_each(async |cache, ledger| {
        let change = async { put(&ledger, 1, "later".to_owned()).await.unwrap() };
        beside_a_written_write(&cache, &ledger, change).await;
    })
    .await;
}

#[tokio::test]
async fn a_version_that_is_refused_beside_a_pending_write_keeps_older_ones_out() {
    on_each(async |cache, ledger| {
        let (held, open) = (Gate::new(), Gate::new());
        open.open();
        let four = put_version(&ledger, &held, 1, "four".to_owned(), 4);
        let rest = async {
            held.arrived(1).await;
            save(1, "pending".to_owned()).await.unwrap();
            let five = put_version(&ledger, &open, 1, "five".to_owned(), 5);
            five.await.unwrap();
            assert_eq!(cache.flush_now().await.unwrap().written, 1);
            held.open();
        };
        let (four, ()) = tokio::join!(four, rest);
        four.unwrap();
        assert_eq!(ledger.texts(1), ["four", "five", "pending"]);
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("pending"));
    })
    .await;
}
