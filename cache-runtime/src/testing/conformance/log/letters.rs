//! Dead letters: looked at, thrown away, and written again.

use std::time::{Duration, Instant};

use super::super::{DEADLINE, LONG, SHORT};
use super::{ALL, LogBench, arguments, log_suite};
use crate::backend::log::{Append, Done, Letter, Revival};

log_suite![
    a_buried_write_is_a_letter,
    many_writes_are_one_letter,
    burying_again_makes_no_letter,
    letters_come_in_order_after_a_number_and_at_most_so_many,
    a_letter_grows_older,
    a_discarded_letter_is_gone,
    a_revived_letter_is_the_newest_write,
    a_letter_is_revived_whatever_the_bound,
    a_revived_value_takes_the_place_of_what_is_cached,
    a_letter_without_a_later_write_is_revived,
    a_letter_is_superseded_by_a_later_pending_write,
    a_letter_is_superseded_by_a_later_write_that_was_finished,
    a_letter_is_not_superseded_by_an_earlier_write,
    a_letter_is_not_superseded_by_a_later_letter,
    a_letter_is_not_superseded_by_a_write_of_another_key,
    a_letter_is_not_superseded_by_a_write_of_another_function,
    a_letter_is_superseded_beside_later_writes_of_another_function,
    a_letter_is_revived_beside_later_writes_if_that_is_wished,
    a_letter_that_is_gone_is_not_revived,
];

impl LogBench {
    async fn letters(&self) -> Vec<Letter> {
        self.letters_after(0, ALL).await
    }

    async fn letters_after(&self, after: u64, most: usize) -> Vec<Letter> {
        let letters = self.log().letters(after, most).await;
        letters.expect("letters")
    }

    /// Buries a write; gives the number of the letter.
    async fn letter(&self, owner: crate::backend::Token) -> u64 {
        let sequence = self.logged(self.write("buried")).await;
        assert!(self.bury(owner, &[sequence]).await);
        sequence
    }

    async fn revive(&self, sequence: u64, write: Append, unless_newer: bool) -> Revival {
        let revived = self.log().revive(sequence, write, unless_newer).await;
        revived.expect("revive")
    }

    async fn revived(&self, letter: u64, unless_newer: bool) -> u64 {
        let write = self.valued("revived");
        match self.revive(letter, write, unless_newer).await {
            Revival::Logged(sequence) => sequence,
            other => panic!("{other:?}"),
        }
    }

    async fn superseded(&self, letter: u64) {
        let (pending, cached) = (self.sequences().await, self.get().await);
        let revival = self.revive(letter, self.valued("revived"), true).await;
        assert_eq!(revival, Revival::Superseded);
        assert_eq!(numbers(&self.letters().await), [0; 0], "it is gone");
        assert_eq!(self.sequences().await, pending);
        assert_eq!(self.get().await, cached);
    }
}

fn numbers(letters: &[Letter]) -> Vec<u64> {
    letters.iter().map(|letter| letter.sequence).collect()
}

async fn a_buried_write_is_a_letter(b: LogBench) {
    let owner = b.owner().await;
    assert_eq!(numbers(&b.letters().await), [0; 0]);
    let before = Instant::now();
    let one = b.logged(b.write("one")).await;
    let two = b.logged(b.write("two")).await;
    assert!(b.bury(owner, &[one]).await);
    let [letter] = &b.letters().await[..] else {
        panic!("one write was buried")
    };
    assert_eq!(letter.sequence, one);
    assert_eq!(letter.key, b.key);
    assert_eq!(letter.function, b.function());
    assert_eq!(arguments(&letter.payload), "buried");
    assert_eq!(letter.error, "it did not work");
    assert_eq!(letter.attempts, 3);
    assert!(letter.age <= before.elapsed() + DEADLINE);
    assert_eq!(b.sequences().await, [two]);
}

async fn many_writes_are_one_letter(b: LogBench) {
    let owner = b.owner().await;
    let (one, two, three) = (
        b.logged(b.write("one")).await,
        b.logged(b.write("two")).await,
        b.logged(b.write("three")).await,
    );
    assert!(b.bury(owner, &[one, two]).await);
    assert_eq!(numbers(&b.letters().await), [two]);
    assert_eq!(b.sequences().await, [three]);
}

async fn burying_again_makes_no_letter(b: LogBench) {
    let owner = b.owner().await;
    let letter = b.letter(owner).await;
    assert!(b.bury(owner, &[letter]).await, "the owner did not hear it");
    assert_eq!(numbers(&b.letters().await), [letter]);
    assert!(b.log().discard(letter).await.expect("discard"));
    assert!(b.bury(owner, &[letter]).await);
    assert_eq!(numbers(&b.letters().await), [0; 0]);
}

async fn letters_come_in_order_after_a_number_and_at_most_so_many(b: LogBench) {
    let owner = b.owner().await;
    let other = b.at(&b.key_in((b.partition() + 1) % 16, 0));
    let mut buried = Vec::new();
    for _ in 0..6 {
        buried.push(b.letter(owner).await);
        buried.push(other.letter(owner).await);
    }
    assert_eq!(numbers(&b.letters().await), buried);
    assert_eq!(numbers(&b.letters_after(0, 5).await), buried[..5]);
    let page = b.letters_after(buried[2], 4).await;
    assert_eq!(numbers(&page), buried[3..7]);
    let rest = b.letters_after(buried[9], ALL).await;
    assert_eq!(numbers(&rest), buried[10..]);
    assert_eq!(numbers(&b.letters_after(buried[11], ALL).await), [0; 0]);
}

async fn a_letter_grows_older(b: LogBench) {
    let owner = b.owner().await;
    let write = b.logged(b.write("one")).await;
    let began = Instant::now();
    while b.pending().await[0].age < SHORT * 5 {
        assert!(began.elapsed() < DEADLINE, "the write does not age");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let before = Instant::now();
    assert!(b.bury(owner, &[write]).await);
    let age = b.letters().await[0].age;
    assert!(
        age < SHORT * 5 + before.elapsed(),
        "{age:?} is the age of the write"
    );
    while b.letters().await[0].age < SHORT {
        assert!(before.elapsed() < DEADLINE, "the letter does not age");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn a_discarded_letter_is_gone(b: LogBench) {
    let owner = b.owner().await;
    let (one, two) = (b.letter(owner).await, b.letter(owner).await);
    assert!(b.log().discard(one).await.expect("discard"));
    assert!(!b.log().discard(one).await.expect("discard"));
    assert_eq!(numbers(&b.letters().await), [two]);
    let pending = b.logged(b.write("pending")).await;
    assert!(!b.log().discard(pending).await.expect("discard"));
    assert_eq!(b.sequences().await, [pending]);
}

async fn a_revived_letter_is_the_newest_write(b: LogBench) {
    let owner = b.owner().await;
    let letter = b.letter(owner).await;
    let other = b.at(&b.key_in(b.partition(), 0));
    let pending = other.logged(other.write("pending")).await;
    let revived = b.revived(letter, true).await;
    assert!(revived > pending, "{revived} after {pending}");
    assert_eq!(numbers(&b.letters().await), [0; 0]);
    let writes = b.pending().await;
    assert_eq!(super::sequences(&writes), [pending, revived]);
    assert_eq!(writes[1].key, b.key);
    assert_eq!(writes[1].function, b.function());
    assert_eq!(arguments(&writes[1].payload), "revived");
    assert!(b.finish(owner, &[revived]).await);
}

async fn a_letter_is_revived_whatever_the_bound(b: LogBench) {
    let owner = b.owner().await;
    let (one, two) = (b.letter(owner).await, b.letter(owner).await);
    b.logged(b.write("pending")).await;
    for (letter, unless_newer) in [(two, false), (one, false)] {
        let write = Append {
            max_pending: 0,
            ..b.write("revived")
        };
        let revival = b.revive(letter, write, unless_newer).await;
        assert!(matches!(revival, Revival::Logged(_)), "{revival:?}");
    }
    assert_eq!(b.pending().await.len(), 3);
    let size = b.log().size().await.expect("size");
    assert_eq!(size.pending, [(b.function(), 3)]);
}

async fn a_revived_value_takes_the_place_of_what_is_cached(b: LogBench) {
    let owner = b.owner().await;
    let letter = b.letter(owner).await;
    b.put("cached").await;
    let token = b
        .lease_mode(LONG, crate::backend::LeaseMode::Refresh)
        .await
        .0;
    b.revived(letter, true).await;
    assert!(!b.fill(token, "from before").await);
    assert_eq!(b.get().await.as_deref(), Some("revived"));
    b.assert_pending("revived").await;
}

async fn a_letter_without_a_later_write_is_revived(b: LogBench) {
    let owner = b.owner().await;
    let before = b.logged(b.write("before")).await;
    assert!(b.finish(owner, &[before]).await);
    let letter = b.letter(owner).await;
    b.revived(letter, true).await;
}

async fn a_letter_is_superseded_by_a_later_pending_write(b: LogBench) {
    let owner = b.owner().await;
    let letter = b.letter(owner).await;
    b.logged(b.valued("later")).await;
    b.superseded(letter).await;
    b.assert_pending("later").await;
}

async fn a_letter_is_superseded_by_a_later_write_that_was_finished(b: LogBench) {
    let owner = b.owner().await;
    let letter = b.letter(owner).await;
    let later = b.logged(b.valued("later")).await;
    assert!(b.finish(owner, &[later]).await);
    b.superseded(letter).await;
    assert_eq!(b.get().await.as_deref(), Some("later"));
}

async fn a_letter_is_not_superseded_by_an_earlier_write(b: LogBench) {
    let owner = b.owner().await;
    let pending = b.logged(b.write("pending")).await;
    let finished = b.logged(b.write("finished")).await;
    let letter = b.letter(owner).await;
    assert!(b.finish(owner, &[finished]).await);
    let revived = b.revived(letter, true).await;
    assert_eq!(b.sequences().await, [pending, revived]);
}

async fn a_letter_is_not_superseded_by_a_later_letter(b: LogBench) {
    let owner = b.owner().await;
    let (one, two) = (b.letter(owner).await, b.letter(owner).await);
    let revived = b.revived(one, true).await;
    assert_eq!(numbers(&b.letters().await), [two]);
    assert_eq!(b.sequences().await, [revived]);
}

async fn a_letter_is_not_superseded_by_a_write_of_another_key(b: LogBench) {
    let owner = b.owner().await;
    let other = b.at(&b.key_in(b.partition(), 0));
    let letter = b.letter(owner).await;
    let finished = other.logged(other.write("finished")).await;
    assert!(b.finish_all(owner, &[other.done(&[finished], false)]).await);
    other.logged(other.write("pending")).await;
    b.revived(letter, true).await;
}

impl LogBench {
    /// A write of the key by another function.
    fn touch(&self) -> Append {
        Append {
            function: format!("{}::touch", self.site()),
            ..self.write("touched")
        }
    }

    async fn finish_touch(&self, owner: crate::backend::Token, sequence: u64) {
        let done = Done {
            function: self.touch().function,
            ..self.done(&[sequence], false)
        };
        assert!(self.finish_all(owner, &[done]).await);
    }
}

async fn a_letter_is_not_superseded_by_a_write_of_another_function(b: LogBench) {
    let owner = b.owner().await;
    let letter = b.letter(owner).await;
    let finished = b.logged(b.touch()).await;
    b.finish_touch(owner, finished).await;
    let pending = b.logged(b.touch()).await;
    let revived = b.revived(letter, true).await;
    assert_eq!(b.sequences().await, [pending, revived]);
}

async fn a_letter_is_superseded_beside_later_writes_of_another_function(b: LogBench) {
    let owner = b.owner().await;
    for finishes in [true, false] {
        let letter = b.letter(owner).await;
        let later = b.logged(b.write("later")).await;
        let mut touched = 0;
        for _ in 0..120 {
            touched = b.logged(b.touch()).await;
        }
        if finishes {
            assert!(b.finish(owner, &[later]).await);
            b.finish_touch(owner, touched).await;
        }
        b.superseded(letter).await;
    }
}

async fn a_letter_is_revived_beside_later_writes_if_that_is_wished(b: LogBench) {
    let owner = b.owner().await;
    let letter = b.letter(owner).await;
    let finished = b.logged(b.valued("finished")).await;
    assert!(b.finish(owner, &[finished]).await);
    let pending = b.logged(b.valued("pending")).await;
    let revived = b.revived(letter, false).await;
    assert_eq!(b.sequences().await, [pending, revived]);
    b.assert_pending("revived").await;
}

async fn a_letter_that_is_gone_is_not_revived(b: LogBench) {
    let owner = b.owner().await;
    let letter = b.letter(owner).await;
    let pending = b.revived(letter, true).await;
    let discarded = b.letter(owner).await;
    assert!(b.log().discard(discarded).await.expect("discard"));
    for gone in [letter, discarded, pending, u64::MAX >> 1] {
        for unless_newer in [true, false] {
            let revival = b.revive(gone, b.valued("again"), unless_newer).await;
            assert_eq!(revival, Revival::Gone, "{gone}");
        }
    }
    assert_eq!(b.sequences().await, [pending]);
    assert_eq!(b.get().await.as_deref(), Some("revived"));
}
