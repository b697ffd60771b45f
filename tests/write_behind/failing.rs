//! Bodies that fail, panic, hang, and what that means for their key and for others.

use std::time::Duration;

use cache_runtime::{Cache, ManualClock, WriteBehind, cached};
use tests::{DEADLINE, eventually, within};

use crate::ledger::{Ledger, LedgerError, PAUSE, Trouble, in_memory};

#[cached(pattern = "write-behind", key = "failing:<id>", merge = join, flush = "1s")]
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

#[cached(pattern = "write-behind", key = "set:<id>", value = text, flush = "1s")]
async fn set(
    #[context] ledger: &Ledger,
    id: u64,
    text: String,
    #[sequence] sequence: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, text, sequence).await
}

/// Moves the clock on until the id was tried so often.
async fn tried(clock: &ManualClock, ledger: &Ledger, id: u64, times: usize) {
    eventually(DEADLINE, async || {
        clock.advance(Duration::from_millis(100));
        ledger.tries(id) >= times
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_tried_again_before_the_later_writes_of_its_key() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        add(1, "a".to_owned()).await.unwrap();
        let report = cache.flush_now().await.unwrap();
        assert_eq!((report.written, report.failed, report.remaining), (0, 1, 1));
        add(1, "b".to_owned()).await.unwrap();
        tried(&clock, &ledger, 1, 2).await;
        ledger.heal(1);
        eventually(DEADLINE, async || {
            clock.advance(Duration::from_millis(100));
            ledger.texts(1).len() == 2
        })
        .await;
        assert_eq!(ledger.texts(1), ["a", "b"]);
        let sequences: Vec<u64> = ledger.lines().iter().map(|line| line.sequence).collect();
        assert!(sequences.is_sorted());
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_pause_after_each_failure_is_longer_and_is_shortened_by_chance() {
    // 1 s, 2 s, each shortened by up to a half.
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        add(1, "a".to_owned()).await.unwrap();
        cache.flush_now().await.unwrap();
        for (pause, tries) in [(1000, 1), (2000, 2)] {
            clock.advance(Duration::from_millis(pause / 2 - 1));
            assert_eq!(cache.flush_now().await.unwrap().failed, 0);
            assert_eq!(ledger.tries(1), tries);
            clock.advance(Duration::from_millis(pause / 2 + 1));
            eventually(DEADLINE, async || ledger.tries(1) == tries + 1).await;
            // Its failure has been noted.
            cache.flush_now().await.unwrap();
        }
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_write_holds_back_its_own_key_only() {
    let ledger = Ledger::new();
    let (cache, _clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        for id in 0..50 {
            add(id, "x".to_owned()).await.unwrap();
        }
        let report = cache.flush_now().await.unwrap();
        assert_eq!(
            (report.written, report.failed, report.remaining),
            (49, 1, 1)
        );
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_later_value_takes_the_place_of_one_that_fails() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        set(1, "bad".to_owned()).await.unwrap();
        cache.flush_now().await.unwrap();
        ledger.heal(1);
        set(1, "good".to_owned()).await.unwrap();
        eventually(DEADLINE, async || {
            clock.advance(Duration::from_millis(100));
            !ledger.lines().is_empty()
        })
        .await;
        cache.flush_now().await.unwrap();
        assert_eq!(ledger.texts(1), ["good"]);
        assert_eq!(cache.stats().write_behind.pending, 0);
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_panics_has_failed() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Panics);
        add(1, "a".to_owned()).await.unwrap();
        add(2, "b".to_owned()).await.unwrap();
        let report = cache.flush_now().await.unwrap();
        assert_eq!((report.written, report.failed), (1, 1));
        while cache.dead_letters().await.unwrap().is_empty() {
            clock.advance(PAUSE);
            cache.flush_now().await.unwrap();
        }
        let letter = &cache.dead_letters().await.unwrap()[0];
        assert_eq!(letter.error, "panicked: the ledger fell at 1");
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_hangs_is_dropped_after_its_time_and_others_go_on_meanwhile() {
    let ledger = Ledger::new();
    let clock = ManualClock::new();
    let cache = Cache::builder()
        .clock(&clock)
        .provide(ledger.clone())
        .write_behind(
            WriteBehind::new()
                .attempts(1)
                .attempt_timeout(Duration::from_secs(10)),
        )
        .build()
        .await
        .unwrap();
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Hangs);
        add(1, "a".to_owned()).await.unwrap();
        let mut flush = tokio::spawn({
            let cache = cache.clone();
            async move { cache.flush_now().await.unwrap() }
        });
        eventually(DEADLINE, async || ledger.tries(1) == 1).await;
        for id in 2..40 {
            add(id, "b".to_owned()).await.unwrap();
        }
        clock.advance(Duration::from_secs(1));
        eventually(DEADLINE, async || ledger.lines().len() == 38).await;
        assert!(!flush.is_finished());
        clock.advance(Duration::from_secs(9));
        let report = (&mut flush).await.unwrap();
        assert_eq!((report.failed, report.buried), (1, 1));
        let error = &cache.dead_letters().await.unwrap()[0].error;
        assert_eq!(error, "took longer than its 10s, and was dropped");
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_costs_few_writes_their_attempts() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        for id in 0..400 {
            ledger.trouble(id, Trouble::Fails);
            add(id, "x".to_owned()).await.unwrap();
        }
        let report = cache.flush_now().await.unwrap();
        assert!(report.failed < 200, "{report:?}");
        assert_eq!(report.remaining, 400);
        // Three attempts each would have been over by now, had they all been tried.
        for _ in 0..20 {
            clock.advance(Duration::from_secs(10));
            tests::idle().await;
        }
        let dead = cache.dead_letters().await.unwrap().len();
        assert!(dead < 300, "{dead} of 400 were given up");
        (0..400).for_each(|id| ledger.heal(id));
        eventually(DEADLINE, async || {
            clock.advance(PAUSE);
            cache.flush_now().await.unwrap().remaining == 0
        })
        .await;
        let dead = cache.dead_letters().await.unwrap().len();
        assert_eq!(ledger.lines().len(), 400 - dead);
    }))
    .await;
}
