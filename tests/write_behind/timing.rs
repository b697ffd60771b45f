//! When pending writes are written by themselves: after `flush`, or when there are `batch` of them.

use std::time::Duration;

use cache_runtime::{Cache, Error, Write, cached};
use tests::{DEADLINE, Logs, eventually, within};

use crate::ledger::{Ledger, LedgerError, Line, in_memory};

#[cached(pattern = "write-behind", key = "timing:<id>", merge = join, flush = "10s", batch = 5)]
async fn add(
    #[context] ledger: &Ledger,
    id: u64,
    text: String,
    #[sequence] sequence: i64,
) -> Result<(), LedgerError> {
    let sequence = u64::try_from(sequence).expect("below 2^63");
    ledger.write(id, text, sequence).await
}

fn join(earlier: &mut String, later: String) {
    earlier.push_str(&later);
}

#[tokio::test(start_paused = true)]
async fn a_write_waits_for_others_no_longer_than_flush_says() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        add(1, "a".to_owned()).await.unwrap();
        clock.advance(Duration::from_secs(9));
        tests::idle().await;
        add(1, "b".to_owned()).await.unwrap();
        assert!(ledger.lines().is_empty());
        clock.advance(Duration::from_secs(1));
        eventually(DEADLINE, async || ledger.texts(1) == ["ab"]).await;
    }))
    .await;
}

#[cached(pattern = "write-behind", key = "timing:<id>", merge = join, flush = "10s", batch_with = add_all)]
async fn add_batched(
    #[context] ledger: &Ledger,
    id: u64,
    text: String,
    #[sequence] sequence: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, text, sequence).await
}

async fn add_all(ledger: &Ledger, writes: Vec<Write<(u64, String)>>) -> Result<(), LedgerError> {
    let line = |write: Write<(u64, String)>| {
        let (id, text) = write.args;
        let sequence = write.sequence;
        Line { id, text, sequence }
    };
    let lines = writes.into_iter().map(line).collect();
    ledger.write_all(lines).await
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_along_what_is_not_due_yet() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        for id in 0..80 {
            add_batched(id, "a".to_owned()).await.unwrap();
            clock.advance(Duration::from_millis(100));
        }
        tests::idle().await;
        assert!(ledger.lines().is_empty());
        // Now the first is due in each of the 16 partitions, and the last is not.
        clock.advance(Duration::from_secs(7));
        eventually(DEADLINE, async || ledger.lines().len() == 80).await;
        assert!(ledger.batches().len() <= 16, "{:?}", ledger.batches());
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let ledger = Ledger::new();
    let (cache, _clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        for text in ["a", "b", "c", "d"] {
            add(1, text.to_owned()).await.unwrap();
        }
        tests::idle().await;
        assert!(ledger.lines().is_empty());
        add(1, "e".to_owned()).await.unwrap();
        eventually(DEADLINE, async || ledger.texts(1) == ["abcde"]).await;
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_whose_context_is_missing_is_refused_with_what_to_do() {
    let cache = Cache::builder().build().await.unwrap();
    let refused = cache.scope(add(1, "a".to_owned())).await;
    let Err(LedgerError::Cache(Error::Config(error))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        error.to_string(),
        "context of `add`: it needs `write_behind::ledger::Ledger`: give it to the cache with `Cache::builder().provide(…)`"
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_in_memory_says_once_that_a_crash_loses_it() {
    let logs = Logs::capture();
    let ledger = Ledger::new();
    let (cache, _clock) = in_memory(&ledger).await;
    cache.scope(add(1, "a".to_owned())).await.unwrap();
    cache.scope(add(2, "a".to_owned())).await.unwrap();
    assert_eq!(logs.count("a crash of the process loses pending writes"), 1);
}
