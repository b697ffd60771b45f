//! Dead letters: what they tell, and what can be done with them.

use cache_runtime::{Cache, Retried, cached};
use tests::{DEADLINE, eventually, within};

use crate::ledger::{Ledger, LedgerError, PAUSE, Trouble, in_memory};

#[cached(pattern = "write-behind", key = "letters:<id>", value = text, flush = "1s")]
async fn set(
    #[context] ledger: &Ledger,
    id: u64,
    text: String,
    #[sequence] sequence: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, text, sequence).await
}

#[cached(key = "letters:<id>")]
async fn load(ledger: &Ledger, id: u64) -> Option<String> {
    ledger.texts(id).pop()
}

#[cached(pattern = "write-behind", key = "joined:<id>", merge = join, flush = "1s")]
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

/// Flushes over the pauses until there are so many dead letters.
async fn until_dead(cache: &Cache, clock: &cache_runtime::ManualClock, letters: usize) {
    eventually(DEADLINE, async || {
        clock.advance(PAUSE);
        cache.flush_now().await.unwrap();
        cache.dead_letters().await.unwrap().len() == letters
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_keeps_failing_becomes_a_dead_letter_that_tells_all_of_it() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        add(1, "a".to_owned()).await.unwrap();
        add(1, "b".to_owned()).await.unwrap();
        until_dead(&cache, &clock, 1).await;
        assert_eq!(ledger.tries(1), 3);
        let letters = cache.dead_letters().await.unwrap();
        let [letter] = letters.as_slice() else {
            panic!("{letters:?}");
        };
        assert_eq!(letter.key.as_str(), "joined:1");
        assert_eq!(letter.function, "write_behind::letters::add");
        assert_eq!(
            (letter.error.as_str(), letter.attempts),
            ("no room for 1", 3)
        );
        assert_eq!(
            letter.arguments::<(u64, String)>(),
            Ok((1, "ab".to_owned()))
        );
        assert!(letter.arguments::<(u64, u64)>().is_err());
        let stats = cache.stats().write_behind;
        assert_eq!((stats.pending, stats.dead_letters, stats.buried), (0, 1, 2));
        // Its key goes on without it.
        ledger.heal(1);
        add(1, "c".to_owned()).await.unwrap();
        cache.flush_now().await.unwrap();
        assert_eq!(ledger.texts(1), ["c"]);
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_value_that_was_given_up_is_seen_no_more() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        set(1, "bad".to_owned()).await.unwrap();
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("bad"));
        until_dead(&cache, &clock, 1).await;
        assert_eq!(load(&ledger, 1).await, None);
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_retried_is_the_newest_write_of_its_key() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        set(1, "one".to_owned()).await.unwrap();
        until_dead(&cache, &clock, 1).await;
        ledger.heal(1);
        let old = cache.dead_letters().await.unwrap()[0].sequence;
        let retried = cache.retry_dead_letter(old).await.unwrap();
        assert!(
            matches!(retried, Retried::Pending(new) if new > old),
            "{retried:?}"
        );
        assert_eq!(load(&ledger, 1).await.as_deref(), Some("one"));
        assert_eq!(cache.flush_now().await.unwrap().written, 1);
        assert_eq!(ledger.texts(1), ["one"]);
        assert_eq!(cache.retry_dead_letter(old).await.unwrap(), Retried::Gone);
        assert!(cache.dead_letters().await.unwrap().is_empty());
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_whose_key_has_a_later_value_is_not_written_over_it() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        for flushed in [false, true] {
            ledger.trouble(1, Trouble::Fails);
            set(1, "old".to_owned()).await.unwrap();
            until_dead(&cache, &clock, 1).await;
            ledger.heal(1);
            set(1, "new".to_owned()).await.unwrap();
            if flushed {
                cache.flush_now().await.unwrap();
            }
            let letter = cache.dead_letters().await.unwrap()[0].sequence;
            assert_eq!(
                cache.retry_dead_letter(letter).await.unwrap(),
                Retried::Superseded
            );
            cache.flush_now().await.unwrap();
            assert_eq!(ledger.texts(1).pop().as_deref(), Some("new"));
            assert!(cache.dead_letters().await.unwrap().is_empty());
        }
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_retried_whatever_came_after_it() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        add(1, "a".to_owned()).await.unwrap();
        until_dead(&cache, &clock, 1).await;
        ledger.heal(1);
        add(1, "b".to_owned()).await.unwrap();
        cache.flush_now().await.unwrap();
        let letter = cache.dead_letters().await.unwrap()[0].sequence;
        let retried = cache.retry_dead_letter(letter).await.unwrap();
        assert!(matches!(retried, Retried::Pending(_)));
        cache.flush_now().await.unwrap();
        assert_eq!(ledger.texts(1), ["b", "a"]);
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_can_be_thrown_away() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        set(1, "bad".to_owned()).await.unwrap();
        until_dead(&cache, &clock, 1).await;
        let letter = cache.dead_letters().await.unwrap()[0].sequence;
        assert!(cache.discard_dead_letter(letter).await.unwrap());
        assert!(!cache.discard_dead_letter(letter).await.unwrap());
        assert!(cache.dead_letters().await.unwrap().is_empty());
        assert_eq!(cache.stats().write_behind.dead_letters, 0);
    }))
    .await;
}

#[cached(pattern = "write-behind", key = "letters:<id>", value = none, flush = "1s")]
async fn touch(
    #[context] ledger: &Ledger,
    id: u64,
    #[sequence] sequence: u64,
) -> Result<(), LedgerError> {
    ledger.write(id, "touched".to_owned(), sequence).await
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_not_superseded_by_a_write_of_another_function() {
    let ledger = Ledger::new();
    let (cache, clock) = in_memory(&ledger).await;
    within(cache.scope(async {
        ledger.trouble(1, Trouble::Fails);
        set(1, "Ada".to_owned()).await.unwrap();
        until_dead(&cache, &clock, 1).await;
        ledger.heal(1);
        touch(1).await.unwrap();
        cache.flush_now().await.unwrap();
        touch(1).await.unwrap();
        let letter = cache.dead_letters().await.unwrap()[0].sequence;
        let retried = cache.retry_dead_letter(letter).await.unwrap();
        assert!(matches!(retried, Retried::Pending(_)), "{retried:?}");
        cache.flush_now().await.unwrap();
        assert_eq!(ledger.texts(1), ["touched", "touched", "Ada"]);
    }))
    .await;
}
