//! Partitions: who owns them, and what nobody else may do.

use std::time::{Duration, Instant};

use super::super::{DEADLINE, LONG, SHORT};
use super::{LogBench, every_partition, log_suite};
use crate::backend::Token;

log_suite![
    a_member_alone_owns_every_partition,
    members_share_the_partitions,
    what_is_left_of_the_division_is_owned_too,
    a_partition_has_one_owner,
    a_resigned_partition_is_free,
    resigning_what_another_owns_changes_nothing,
    who_leaves_owns_nothing_and_counts_no_more,
    an_expired_member_owns_nothing_and_counts_no_more,
    attending_again_extends_what_is_owned,
    attending_counts_from_now,
    a_term_lasts_until_another_owns_the_partition,
    a_stranger_changes_nothing,
    the_owner_of_other_partitions_changes_nothing,
    whoever_has_resigned_changes_nothing,
    whoever_has_left_changes_nothing,
    whoever_has_expired_changes_nothing,
    whoever_was_taken_over_changes_nothing,
];

impl LogBench {
    async fn owned(&self, member: Token) -> Vec<u8> {
        self.attend(member, LONG).await.partitions()
    }

    /// The terms of all partitions, which are the member's.
    async fn terms(&self, member: Token) -> Vec<u64> {
        let attendance = self.attend(member, LONG).await;
        assert_eq!(attendance.partitions(), every_partition());
        attendance.owned.iter().map(|owned| owned.term).collect()
    }

    /// Waits until the member owns nothing any more.
    async fn expired(&self, member: Token) {
        let began = Instant::now();
        while self.finish_all(member, &[]).await {
            assert!(began.elapsed() < DEADLINE, "the member does not expire");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn resign(&self, member: Token, partitions: &[u8]) {
        let resigned = self.log().resign(member, partitions).await;
        resigned.expect("resign");
    }

    async fn leave(&self, member: Token) {
        self.log().leave(member).await.expect("leave");
    }

    /// Attends until the member owns every partition.
    async fn owner_in_time(&self) -> Token {
        let (member, began) = (Token::fresh(), Instant::now());
        loop {
            let attendance = self.attend(member, LONG).await;
            if attendance.partitions() == every_partition() {
                assert_eq!(attendance.share, 16, "it is alone");
                return member;
            }
            assert!(began.elapsed() < DEADLINE, "still {attendance:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Tries all that only the owner may do.
    async fn changes_nothing(&self, member: Token) {
        let write = self.logged(self.valued("one")).await;
        let pending = self.sequences().await;
        assert!(!self.begin_run(member, write, 1).await, "begin");
        assert!(!self.finish_invalidating(member, &[write]).await, "finish");
        assert!(!self.bury(member, &[write]).await, "bury");
        assert_eq!(self.begun().await, []);
        assert_eq!(self.sequences().await, pending);
        assert_eq!(self.get().await.as_deref(), Some("one"));
        let letters = self.log().letters(0, 1).await.expect("letters");
        assert!(letters.is_empty(), "{letters:?}");
    }

    async fn changes_all(&self, member: Token) {
        let (one, two) = (
            self.logged(self.write("one")).await,
            self.logged(self.write("two")).await,
        );
        assert!(self.begin_run(member, one, 1).await, "begin");
        assert!(self.finish(member, &[one]).await, "finish");
        assert!(self.bury(member, &[two]).await, "bury");
    }
}

async fn a_member_alone_owns_every_partition(b: LogBench) {
    let attendance = b.attend(Token::fresh(), LONG).await;
    assert_eq!(attendance.partitions(), every_partition());
    assert_eq!(attendance.share, 16);
}

async fn members_share_the_partitions(b: LogBench) {
    let (one, two) = (b.owner().await, Token::fresh());
    let late = b.attend(two, LONG).await;
    assert_eq!((late.owned.len(), late.share), (0, 8));
    let first = b.attend(one, LONG).await;
    assert_eq!(
        (first.owned.len(), first.share),
        (16, 8),
        "whoever has more keeps it until it resigns"
    );
    b.resign(one, &[0, 2, 4, 6, 8, 10, 12, 14]).await;
    assert_eq!(b.owned(one).await, [1, 3, 5, 7, 9, 11, 13, 15]);
    assert_eq!(b.owned(two).await, [0, 2, 4, 6, 8, 10, 12, 14]);
}

async fn what_is_left_of_the_division_is_owned_too(b: LogBench) {
    let members = [b.owner().await, Token::fresh(), Token::fresh()];
    for member in &members[1..] {
        b.attend(*member, LONG).await;
    }
    b.resign(members[0], &every_partition()).await;
    let mut owned = Vec::new();
    for (member, part) in members.into_iter().zip([6, 6, 4]) {
        let attendance = b.attend(member, LONG).await;
        assert_eq!((attendance.owned.len(), attendance.share), (part, 6));
        owned.extend(attendance.partitions());
    }
    owned.sort_unstable();
    assert_eq!(owned, every_partition());
    for alive in 4..=17_u8 {
        let share = b.attend(Token::fresh(), LONG).await.share;
        assert_eq!(share, 16_u8.div_ceil(alive), "of {alive} members");
    }
}

async fn a_partition_has_one_owner(b: LogBench) {
    let one = b.owner().await;
    assert_eq!(b.owned(Token::fresh()).await, [0; 0]);
    b.changes_all(one).await;
}

async fn a_resigned_partition_is_free(b: LogBench) {
    let (one, two) = (b.owner().await, Token::fresh());
    b.attend(two, LONG).await;
    b.resign(one, &[3]).await;
    assert_eq!(b.owned(two).await, [3]);
    assert_eq!(b.owned(one).await.len(), 15);
    b.resign(two, &[]).await;
    assert_eq!(b.owned(two).await, [3]);
}

async fn resigning_what_another_owns_changes_nothing(b: LogBench) {
    let (one, two) = (b.owner().await, Token::fresh());
    b.attend(two, LONG).await;
    b.resign(two, &every_partition()).await;
    assert_eq!(b.owned(two).await, [0; 0]);
    b.changes_all(one).await;
}

async fn who_leaves_owns_nothing_and_counts_no_more(b: LogBench) {
    let (one, two) = (b.owner().await, Token::fresh());
    b.attend(two, LONG).await;
    b.leave(one).await;
    let attendance = b.attend(two, LONG).await;
    assert_eq!(attendance.partitions(), every_partition());
    assert_eq!(attendance.share, 16);
    b.leave(Token::fresh()).await;
    b.changes_all(two).await;
}

async fn an_expired_member_owns_nothing_and_counts_no_more(b: LogBench) {
    b.attend(Token::fresh(), SHORT).await;
    let next = b.owner_in_time().await;
    b.changes_all(next).await;
}

async fn attending_again_extends_what_is_owned(b: LogBench) {
    let (member, first) = (Token::fresh(), SHORT * 5);
    b.attend(member, first).await;
    assert_eq!(b.owned(member).await, every_partition());
    let began = Instant::now();
    while began.elapsed() < first * 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    b.changes_all(member).await;
}

async fn attending_counts_from_now(b: LogBench) {
    let member = b.owner().await;
    b.attend(member, SHORT).await;
    b.owner_in_time().await;
}

async fn a_term_lasts_until_another_owns_the_partition(b: LogBench) {
    let (one, two) = (b.owner().await, Token::fresh());
    let first = b.terms(one).await;
    assert_eq!(b.terms(one).await, first, "attended again");
    b.resign(one, &every_partition()).await;
    assert_eq!(b.terms(one).await, first, "resigned");
    b.leave(one).await;
    assert_eq!(b.terms(one).await, first, "left");
    b.attend(one, SHORT).await;
    b.expired(one).await;
    assert_eq!(b.terms(one).await, first, "expired");
    b.leave(one).await;
    let second = b.terms(two).await;
    assert!(second.iter().zip(&first).all(|(now, before)| now > before));
    b.leave(two).await;
    let third = b.terms(one).await;
    assert!(third.iter().zip(&second).all(|(now, before)| now > before));
}

async fn a_stranger_changes_nothing(b: LogBench) {
    b.changes_nothing(Token::fresh()).await;
    let owner = b.owner().await;
    b.changes_nothing(Token::fresh()).await;
    b.changes_all(owner).await;
}

async fn the_owner_of_other_partitions_changes_nothing(b: LogBench) {
    let (one, two) = (b.owner().await, Token::fresh());
    let given_up = [b.partition()];
    b.attend(two, LONG).await;
    b.resign(one, &given_up).await;
    assert_eq!(b.owned(two).await, given_up);
    b.changes_nothing(one).await;
    b.changes_all(two).await;
}

async fn whoever_has_resigned_changes_nothing(b: LogBench) {
    let owner = b.owner().await;
    b.resign(owner, &[b.partition()]).await;
    b.changes_nothing(owner).await;
}

async fn whoever_has_left_changes_nothing(b: LogBench) {
    let owner = b.owner().await;
    b.leave(owner).await;
    b.changes_nothing(owner).await;
}

async fn whoever_has_expired_changes_nothing(b: LogBench) {
    let member = Token::fresh();
    b.attend(member, SHORT).await;
    b.expired(member).await;
    b.changes_nothing(member).await;
}

async fn whoever_was_taken_over_changes_nothing(b: LogBench) {
    let member = Token::fresh();
    b.attend(member, SHORT).await;
    let next = b.owner_in_time().await;
    b.changes_nothing(member).await;
    assert_eq!(b.owned(member).await, [0; 0], "it came back too late");
    b.changes_nothing(member).await;
    b.changes_all(next).await;
}
