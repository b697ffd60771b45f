//! A log that has as many writes as it may.

use cache_runtime::{Error, cached};
use tests::{Gate, once_begun, within};

use crate::ledger::{Ledger, LedgerError, on_each};

macro_rules! writer {
    ($name:ident, $key:literal, $when_full:literal) => {
        #[cached(pattern = "write-behind", key = $key, value = none, flush = "1h", max_pending = 2, when_full = $when_full)]
        async fn $name(
            #[context] ledger: &Ledger,
            id: u64,
            text: &str,
            #[sequence] sequence: u64,
        ) -> Result<(), LedgerError> {
            ledger.write(id, text.to_owned(), sequence).await
        }
    };
}

writer!(blocking, "full:block:<id>", "block");
writer!(refusing, "full:error:<id>", "error");
writer!(direct, "full:through:<id>", "through");

/// Fills the log of a writer with two writes that cannot be written yet.
macro_rules! fill {
    ($writer:ident, $ledger:ident) => {{
        let gate = Gate::new();
        $ledger.gate(&gate);
        $writer(1, "one").await.unwrap();
        $writer(2, "two").await.unwrap();
        gate
    }};
}

#[tokio::test]
async fn a_call_waits_for_room() {
    on_each(async |cache, ledger| {
        let gate = fill!(blocking, ledger);
        let third = once_begun(blocking(3, "three"), || {});
        let mut third = Box::pin(third);
        // Whoever waits for room has the worker make some.
        let waiting =
            std::future::poll_fn(|cx| std::task::Poll::Ready(third.as_mut().poll(cx).is_pending()));
        assert!(waiting.await);
        let opened = async {
            gate.arrived(1).await;
            gate.open();
        };
        let (third, ()) = within(async { tokio::join!(third, opened) }).await;
        third.unwrap();
        cache.flush_now().await.unwrap();
        assert_eq!(ledger.lines().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_call_is_refused() {
    on_each(async |cache, ledger| {
        let gate = fill!(refusing, ledger);
        let refused = refusing(3, "three").await;
        assert!(
            matches!(refused, Err(LedgerError::Cache(Error::LogFull(2)))),
            "{refused:?}"
        );
        // Other writers have room of their own.
        direct(1, "x").await.unwrap();
        gate.open();
        cache.flush_now().await.unwrap();
        refusing(3, "three").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_call_runs_its_body_itself_but_never_before_earlier_writes_of_its_key() {
    on_each(async |cache, ledger| {
        let gate = fill!(direct, ledger);
        let other_key = direct(3, "three");
        let opened = async {
            gate.arrived(1).await;
            gate.open();
        };
        let (other_key, ()) = within(async { tokio::join!(other_key, opened) }).await;
        other_key.unwrap();
        assert_eq!(ledger.texts(3), ["three"]);
        direct(1, "later").await.unwrap();
        cache.flush_now().await.unwrap();
        assert_eq!(ledger.texts(1), ["one", "later"]);
    })
    .await;
}
