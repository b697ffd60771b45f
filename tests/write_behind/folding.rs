//! Writes of one key become one, in their order.

use cache_runtime::{Write, cached};
use tests::{DEADLINE, Gate, eventually, idle, within};

use crate::ledger::{Ledger, LedgerError, Line, Trouble, in_memory, on_each};

#[cached(pattern = "write-behind", key = "last:<id>", value = text, flush = "1h")]
async fn set(
    #[context] ledger: &Ledger,
    id: u64,
    text: String,
    #[sequence] sequence: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, text, sequence).await
}

#[cached(pattern = "write-behind", key = "sum:<id>", merge = join, flush = "1h")]
async fn add(
    #[context] ledger: &Ledger,
    id: u64,
    text: String,
    #[sequence] sequence: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, text, sequence).await
}

fn join(earlier: &mut String, later: String) {
    earlier.push_str(&later);
}

#[cached(pattern = "write-behind", key = "many:<id>", merge = join, flush = "1h", batch = 100, batch_with = add_all)]
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
    ledger
        .write_all(writes.into_iter().map(line).collect())
        .await
}

#[tokio::test]
async fn without_a_merge_the_last_write_wins() {
    on_each(async |cache, ledger| {
        for text in ["a", "b", "c"] {
            set(1, text.to_owned()).await.unwrap();
        }
        let report = cache.flush_now().await.unwrap();
        assert_eq!((report.written, report.remaining), (3, 0));
        assert_eq!(ledger.texts(1), ["c"]);
    })
    .await;
}

#[tokio::test]
async fn a_merge_folds_the_writes_of_a_key_in_their_order() {
    on_each(async |cache, ledger| {
        for text in ["a", "b", "c"] {
            add(1, text.to_owned()).await.unwrap();
            add(2, text.to_uppercase()).await.unwrap();
        }
        assert_eq!(cache.flush_now().await.unwrap().written, 6);
        assert_eq!(
            (ledger.texts(1), ledger.texts(2)),
            (vec!["abc".to_owned()], vec!["ABC".to_owned()])
        );
    })
    .await;
}

#[tokio::test]
async fn later_writes_have_greater_sequence_numbers_in_the_whole_log() {
    on_each(async |cache, ledger| {
        for round in 0..3 {
            for id in 0..20 {
                add(id, round.to_string()).await.unwrap();
            }
            cache.flush_now().await.unwrap();
        }
        let lines = ledger.lines();
        assert_eq!(lines.len(), 60);
        for (round, lines) in lines.chunks(20).enumerate() {
            assert!(lines.iter().all(|line| line.text == round.to_string()));
        }
        let greatest = |lines: &[Line]| lines.iter().map(|line| line.sequence).max();
        let least = |lines: &[Line]| lines.iter().map(|line| line.sequence).min();
        assert!(greatest(&lines[..20]) < least(&lines[20..40]));
        assert!(greatest(&lines[20..40]) < least(&lines[40..]));
        assert!(greatest(&lines) < Some(1 << 63));
    })
    .await;
}

#[tokio::test]
async fn what_comes_while_a_write_runs_is_a_write_of_its_own() {
    on_each(async |cache, ledger| {
        let gate = Gate::new();
        ledger.gate(&gate);
        add(1, "a".to_owned()).await.unwrap();
        add(1, "b".to_owned()).await.unwrap();
        let flush = tokio::spawn({
            let cache = cache.clone();
            async move { cache.flush_now().await }
        });
        gate.arrived(1).await;
        add(1, "c".to_owned()).await.unwrap();
        gate.open();
        flush.await.unwrap().unwrap();
        cache.flush_now().await.unwrap();
        assert_eq!(ledger.texts(1), ["ab", "c"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_does_not_begin_while_an_earlier_one_of_its_key_runs() {
    let ledger = Ledger::new();
    let (cache, _clock) = in_memory(&ledger).await;
    let flush = || {
        let cache = cache.clone();
        tokio::spawn(async move { cache.flush_now().await })
    };
    let gate = Gate::new();
    ledger.gate(&gate);
    cache.scope(add(1, "a".to_owned())).await.unwrap();
    let first = flush();
    gate.arrived(1).await;
    cache.scope(add(1, "b".to_owned())).await.unwrap();
    let second = flush();
    idle().await;
    assert_eq!(gate.count(), 1);
    gate.open();
    within(first).await.unwrap().unwrap();
    within(second).await.unwrap().unwrap();
    assert_eq!(ledger.texts(1), ["a", "b"]);
}

#[tokio::test]
async fn a_batch_holds_one_write_of_each_key() {
    on_each(async |cache, ledger| {
        // Keys of one partition or of several: there is one batch for each.
        for id in 0..40 {
            add_batched(id, "x".to_owned()).await.unwrap();
            add_batched(id, "y".to_owned()).await.unwrap();
        }
        assert_eq!(cache.flush_now().await.unwrap().written, 80);
        assert_eq!(ledger.lines().len(), 40);
        assert!(ledger.lines().iter().all(|line| line.text == "xy"));
        let batches = ledger.batches();
        assert_eq!(batches.iter().sum::<usize>(), 40);
        assert!(batches.len() <= 16, "{batches:?}");
        assert_eq!(ledger.tries(0), 0);
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_fails_is_run_one_by_one_so_that_only_the_bad_write_waits() {
    on_each(async |cache, ledger| {
        ledger.trouble(7, Trouble::Fails);
        for id in 0..40 {
            add_batched(id, "x".to_owned()).await.unwrap();
        }
        let report = cache.flush_now().await.unwrap();
        assert_eq!((report.written, report.remaining), (39, 1));
        assert_eq!(ledger.texts(7), [""; 0]);
        ledger.heal(7);
        eventually(DEADLINE, async || {
            cache.flush_now().await.unwrap().remaining == 0
        })
        .await;
        assert_eq!(ledger.texts(7), ["x"]);
    })
    .await;
}

#[tokio::test]
async fn two_writers_of_one_key_run_in_the_order_of_their_calls() {
    #[cached(pattern = "write-behind", key = "sum:<id>", value = none, flush = "1h")]
    async fn shout(
        #[context] ledger: &Ledger,
        id: u64,
        text: &str,
        #[sequence] sequence: u64,
    ) -> Result<(), LedgerError> {
        ledger.write(id, text.to_uppercase(), sequence).await
    }

    on_each(async |cache, ledger| {
        add(1, "a".to_owned()).await.unwrap();
        add(1, "b".to_owned()).await.unwrap();
        shout(1, "c").await.unwrap();
        add(1, "d".to_owned()).await.unwrap();
        assert_eq!(cache.flush_now().await.unwrap().written, 4);
        assert_eq!(ledger.texts(1), ["ab", "C", "d"]);
    })
    .await;
}
