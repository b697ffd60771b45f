//! User code that panics where it should not, waits for itself, or has a twin; clocks that leap; and ends that come at a bad time.

use std::time::Duration;

use cache_runtime::{Cache, Error, ManualClock, WriteBehind, cached};
use tests::{DEADLINE, Gate, eventually, once_begun, within};

use crate::ledger::{Ledger, LedgerError, Trouble, in_memory};

#[cached(pattern = "write-behind", key = "merge:<id>", merge = fussy, flush = "1h")]
async fn add(#[context] ledger: &Ledger, id: u64, text: String) -> Result<(), LedgerError> {
    ledger.write(id, text, 0).await
}

fn fussy(earlier: &mut String, later: String) {
    assert!(later != "bad", "this is no change");
    earlier.push_str(&later);
}

#[tokio::test(start_paused = true)]
async fn writes_whose_merge_panics_are_run_one_by_one() {
    let ledger = Ledger::new();
    let (cache, _clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        for text in ["a", "bad", "b"] {
            add(1, text.to_owned()).await.unwrap();
        }
        for id in 2..40 {
            add(id, "x".to_owned()).await.unwrap();
        }
        assert_eq!(cache.flush_now().await.unwrap().written, 41);
        assert_eq!(ledger.texts(1), ["a", "bad", "b"]);
    }))
    .await;
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped before its end");
    }
}

#[cached(pattern = "write-behind", key = "bomb:<id>", value = none, flush = "1h")]
async fn bomb(#[context] ledger: &Ledger, id: u64) -> Result<(), LedgerError> {
    let bomb = Bomb;
    let written = ledger.write(id, String::new(), 0).await;
    std::mem::forget(bomb);
    written
}

#[tokio::test(start_paused = true)]
async fn a_body_that_panics_when_it_is_dropped_has_failed() {
    let ledger = Ledger::new();
    let clock = ManualClock::new();
    let options = WriteBehind::new().attempts(1);
    let cache = Cache::builder()
        .clock(&clock)
        .provide(ledger.clone())
        .write_behind(options.attempt_timeout(Duration::from_secs(2)));
    let cache = cache.build().await.unwrap();
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Hangs);
        bomb(1).await.unwrap();
        let late = async {
            eventually(DEADLINE, async || ledger.tries(1) == 1).await;
            clock.advance(Duration::from_secs(2));
        };
        let (report, ()) = tokio::join!(cache.flush_now(), late);
        assert_eq!(report.unwrap().buried, 1);
    }))
    .await;
}

#[cached(pattern = "write-behind", key = "direct:<id>", value = text, flush = "1h", max_pending = 1, when_full = "through")]
async fn direct(#[context] ledger: &Ledger, id: u64, text: String) -> Result<(), LedgerError> {
    ledger.write(id, text, 0).await?;
    ledger.committed().await;
    Ok(())
}

#[cached(key = "direct:<id>")]
async fn load_direct(ledger: &Ledger, id: u64) -> Option<String> {
    ledger.texts(id).pop()
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_that_runs_its_body_itself_leaves_no_old_value() {
    let ledger = Ledger::new();
    let (cache, _clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        direct(1, "pending".to_owned()).await.unwrap();
        load_direct::put(2, "old".to_owned()).await.unwrap();
        let committed = Gate::new();
        ledger.hold_committed(&committed);
        let call = tokio::spawn({
            let cache = cache.clone();
            async move { cache.scope(direct(2, "new".to_owned())).await }
        });
        committed.arrived(1).await;
        call.abort();
        let _ = call.await;
        eventually(DEADLINE, async || {
            load_direct(&ledger, 2).await.as_deref() == Some("new")
        })
        .await;
    }))
    .await;
}

#[cached(pattern = "write-behind", key = "selfish:<id>", value = none, flush = "1h", max_pending = 1)]
async fn selfish(#[context] ledger: &Ledger, id: u64) -> Result<(), LedgerError> {
    let flushed = Cache::current().flush_now().await;
    let called = selfish(id + 1).await;
    let text = format!("{} {}", flushed.is_ok(), called.is_err());
    ledger.write(id, text, 0).await
}

#[tokio::test(start_paused = true)]
async fn a_body_does_not_wait_for_its_own_worker() {
    let ledger = Ledger::new();
    let (cache, _clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        selfish(1).await.unwrap();
        cache.flush_now().await.unwrap();
        assert_eq!(ledger.texts(1), ["true true"]);
    }))
    .await;
}

#[cached(pattern = "write-behind", key = "room:<id>", value = none, flush = "1h", max_pending = 1)]
async fn crowded(#[context] ledger: &Ledger, id: u64) -> Result<(), LedgerError> {
    ledger.write(id, String::new(), 0).await
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tells_those_who_wait_for_room_and_others_who_shut_down() {
    let ledger = Ledger::new();
    let (cache, _clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        let gate = Gate::new();
        ledger.gate(&gate);
        crowded(1).await.unwrap();
        let ends = async {
            gate.arrived(1).await;
            let first = cache.shutdown(DEADLINE);
            let second = once_begun(cache.shutdown(DEADLINE), || gate.open());
            tokio::join!(first, second)
        };
        let (waiting, (first, second)) = tokio::join!(crowded(2), ends);
        assert!(
            matches!(waiting, Err(LedgerError::Cache(Error::ShutDown))),
            "{waiting:?}"
        );
        assert_eq!((first.written, first.remaining), (1, 0));
        assert_eq!(second, first);
    }))
    .await;
}

mod one {
    use super::*;

    pub(super) async fn write(text: &str) -> Result<(), LedgerError> {
        #[cached(pattern = "write-behind", key = "one:<id>", value = none, flush = "1h")]
        async fn twin(#[context] ledger: &Ledger, id: u64, text: &str) -> Result<(), LedgerError> {
            ledger.write(id, format!("one {text}"), 0).await
        }
        twin(1, text).await
    }

    pub(super) async fn write_other(text: &str) -> Result<(), LedgerError> {
        #[cached(pattern = "write-behind", key = "other:<id>", value = none, flush = "1h")]
        async fn twin(#[context] ledger: &Ledger, id: u64, text: &str) -> Result<(), LedgerError> {
            ledger.write(id, format!("other {text}"), 0).await
        }
        twin(2, text).await
    }
}

#[tokio::test(start_paused = true)]
async fn writers_of_one_name_in_two_functions_each_run_their_own_body() {
    let ledger = Ledger::new();
    let (cache, _clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        one::write("x").await.unwrap();
        one::write_other("x").await.unwrap();
        cache.flush_now().await.unwrap();
        assert_eq!(
            (ledger.texts(1), ledger.texts(2)),
            (vec!["one x".to_owned()], vec!["other x".to_owned()])
        );
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clock_that_leaps_over_the_lease_stops_nothing() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    for round in 0..200 {
        let leap = async { clock.advance(Duration::from_secs(6)) };
        let write = cache.scope(async {
            add(round, "x".to_owned()).await.unwrap();
            cache.flush_now().await.unwrap();
        });
        within(async { tokio::join!(write, leap) }).await;
    }
    within(cache.flush_now()).await.unwrap();
    assert_eq!(ledger.lines().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_for_an_hour_makes_no_dead_letters_of_a_few_writes() {
    let ledger = Ledger::new();
    let clock = ManualClock::new();
    let builder = Cache::builder().clock(&clock).provide(ledger.clone());
    let cache = builder.build().await.unwrap();
    within(cache.scope(async {
        for id in 0..10 {
            ledger.trouble(id, Trouble::Fails);
            add(id, "x".to_owned()).await.unwrap();
        }
        cache.flush_now().await.unwrap();
        for _ in 0..360 {
            clock.advance(Duration::from_secs(10));
            tests::idle().await;
        }
        assert!(cache.dead_letters().await.unwrap().is_empty());
        (0..10).for_each(|id| ledger.heal(id));
        eventually(DEADLINE, async || {
            clock.advance(Duration::from_secs(10));
            tests::idle().await;
            ledger.lines().len() == 10
        })
        .await;
    }))
    .await;
}
