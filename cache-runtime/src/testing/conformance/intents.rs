//! Write intents: no value is stored beside a write, and of overlapping writes none.

use std::time::{Duration, Instant};

use super::{Bench, DEADLINE, LONG, SHORT, suite};
use crate::backend::{Lease, Token, WriteEnd};

suite![
    beginning_a_write_removes_the_value,
    beginning_a_write_ends_the_lease,
    beside_a_write_no_lease_is_granted,
    beside_a_write_no_put_is_stored,
    the_generation_stays_while_nothing_changes,
    every_begin_and_end_moves_the_generation,
    a_clean_write_stores_its_value,
    a_write_without_a_value_leaves_none,
    overlapping_writes_leave_no_value,
    a_write_that_began_during_another_is_overlapping_after_that_ended,
    a_write_after_others_ended_is_clean,
    ending_a_write_ends_a_lease,
    an_expired_intent_lets_loads_store_again,
    an_expired_intent_stores_nothing,
    a_renewed_intent_lives_on,
    each_intent_has_its_own_expiry,
    ending_a_write_that_never_began_stores_nothing,
    an_invalidation_overlaps_a_write_in_progress,
    a_newer_version_overlaps_a_write_in_progress,
    a_write_that_ends_after_its_expiry_overlaps_those_in_progress,
    an_invalidation_beside_a_write_moves_the_generation,
    clear_leaves_intents_and_fences,
];

impl Bench {
    pub(super) async fn end(&self, token: Token, value: Option<&str>) -> WriteEnd {
        let value = value.map(|text| (self.value(text), LONG));
        self.backend
            .end_write(&self.key, token, value)
            .await
            .expect("end_write")
    }

    async fn generation(&self) -> Token {
        match self.lease().await.1 {
            Lease::Bypass(generation, _) => generation,
            other => panic!("a write is in progress, yet {other:?}"),
        }
    }
}

async fn beginning_a_write_removes_the_value(b: Bench) {
    b.put("old").await;
    b.begin().await;
    assert_eq!(b.get().await, None);
}

async fn beginning_a_write_ends_the_lease(b: Bench) {
    let lease = b.granted().await;
    let write = b.begin().await;
    assert!(!b.fill(lease, "old").await);
    b.end(write, None).await;
    assert!(!b.fill(lease, "old").await);
    assert_eq!(b.get().await, None);
}

async fn beside_a_write_no_lease_is_granted(b: Bench) {
    let write = b.begin().await;
    b.generation().await;
    b.end(write, None).await;
    b.granted().await;
}

async fn beside_a_write_no_put_is_stored(b: Bench) {
    let write = b.begin().await;
    assert!(!b.put("put").await);
    b.end(write, None).await;
    assert_eq!(b.get().await, None);
    assert!(b.put("put").await);
}

async fn the_generation_stays_while_nothing_changes(b: Bench) {
    b.begin().await;
    assert_eq!(b.generation().await, b.generation().await);
}

async fn every_begin_and_end_moves_the_generation(b: Bench) {
    let first = b.begin().await;
    let one = b.generation().await;
    b.begin().await;
    let two = b.generation().await;
    assert_ne!(one, two);
    b.end(first, None).await;
    let three = b.generation().await;
    assert_ne!(two, three);
    assert_ne!(one, three);
}

async fn a_clean_write_stores_its_value(b: Bench) {
    let write = b.begin().await;
    assert_eq!(b.end(write, Some("new")).await, WriteEnd::Clean);
    assert_eq!(b.get().await.as_deref(), Some("new"));
}

async fn a_write_without_a_value_leaves_none(b: Bench) {
    let write = b.begin().await;
    assert_eq!(b.end(write, None).await, WriteEnd::Clean);
    assert_eq!(b.get().await, None);
}

async fn overlapping_writes_leave_no_value(b: Bench) {
    let (first, second) = (b.begin().await, b.begin().await);
    assert_eq!(b.end(second, Some("second")).await, WriteEnd::Overlapped);
    assert_eq!(b.end(first, Some("first")).await, WriteEnd::Overlapped);
    assert_eq!(b.get().await, None);
}

async fn a_write_that_began_during_another_is_overlapping_after_that_ended(b: Bench) {
    let first = b.begin().await;
    let second = b.begin().await;
    b.end(first, Some("first")).await;
    assert_eq!(b.get().await, None);
    assert_eq!(b.end(second, Some("second")).await, WriteEnd::Overlapped);
    assert_eq!(b.get().await, None);
}

async fn a_write_after_others_ended_is_clean(b: Bench) {
    let (first, second) = (b.begin().await, b.begin().await);
    b.end(first, None).await;
    b.end(second, None).await;
    let third = b.begin().await;
    assert_eq!(b.end(third, Some("third")).await, WriteEnd::Clean);
    assert_eq!(b.get().await.as_deref(), Some("third"));
}

async fn ending_a_write_ends_a_lease(b: Bench) {
    // A lease cannot be had beside a write, so it stems from after the intent's expiry.
    let write = Token::fresh();
    b.backend
        .begin_write(&b.key, write, SHORT)
        .await
        .expect("begin_write");
    let lease = b.granted_in_time().await;
    assert_eq!(b.end(write, Some("late")).await, WriteEnd::Overlapped);
    assert!(!b.fill(lease, "read before the late end").await);
    assert_eq!(b.get().await, None);
}

async fn an_expired_intent_lets_loads_store_again(b: Bench) {
    b.backend
        .begin_write(&b.key, Token::fresh(), SHORT)
        .await
        .expect("begin_write");
    let lease = b.granted_in_time().await;
    assert!(b.fill(lease, "one").await);
}

async fn an_expired_intent_stores_nothing(b: Bench) {
    let write = Token::fresh();
    b.backend
        .begin_write(&b.key, write, SHORT)
        .await
        .expect("begin_write");
    let lease = b.granted_in_time().await;
    b.backend.release(&b.key, lease).await.expect("release");
    assert_eq!(b.end(write, Some("late")).await, WriteEnd::Overlapped);
    assert_eq!(b.get().await, None);
}

async fn a_renewed_intent_lives_on(b: Bench) {
    let write = Token::fresh();
    b.backend
        .begin_write(&b.key, write, Duration::from_secs(5))
        .await
        .expect("begin_write");
    assert!(
        b.backend
            .renew_write(&b.key, write, LONG)
            .await
            .expect("renew_write")
    );
    b.generation().await;
    assert!(
        b.backend
            .renew_write(&b.key, write, SHORT)
            .await
            .expect("renew_write")
    );
    b.granted_in_time().await;
    assert!(
        !b.backend
            .renew_write(&b.key, write, LONG)
            .await
            .expect("renew_write"),
        "it has expired"
    );
}

async fn each_intent_has_its_own_expiry(b: Bench) {
    let (short, long) = (Token::fresh(), b.begin().await);
    b.backend
        .begin_write(&b.key, short, SHORT)
        .await
        .expect("begin_write");
    let began = Instant::now();
    while b
        .backend
        .renew_write(&b.key, short, SHORT / 8)
        .await
        .expect("renew_write")
    {
        assert!(
            began.elapsed() < DEADLINE,
            "the short intent does not expire"
        );
        tokio::time::sleep(SHORT / 4).await;
    }
    b.generation().await;
    b.end(long, None).await;
    b.granted().await;
}

async fn ending_a_write_that_never_began_stores_nothing(b: Bench) {
    assert_eq!(
        b.end(Token::fresh(), Some("never")).await,
        WriteEnd::Overlapped
    );
    assert_eq!(b.get().await, None);
}

async fn an_invalidation_overlaps_a_write_in_progress(b: Bench) {
    let write = b.begin().await;
    b.invalidate().await;
    assert_eq!(
        b.end(write, Some("from before")).await,
        WriteEnd::Overlapped
    );
    assert_eq!(b.get().await, None);
}

async fn a_newer_version_overlaps_a_write_in_progress(b: Bench) {
    let write = b.begin().await;
    let stored = b
        .backend
        .put_if_newer(&b.key, 7, b.value("seven"), LONG)
        .await;
    assert!(stored.expect("put_if_newer"));
    assert_eq!(
        b.end(write, Some("of unknown age")).await,
        WriteEnd::Overlapped
    );
}

async fn a_write_that_ends_after_its_expiry_overlaps_those_in_progress(b: Bench) {
    let stalled = Token::fresh();
    b.backend
        .begin_write(&b.key, stalled, SHORT)
        .await
        .expect("begin_write");
    let lease = b.granted_in_time().await;
    b.backend.release(&b.key, lease).await.expect("release");
    let other = b.begin().await;
    assert_eq!(b.end(stalled, None).await, WriteEnd::Overlapped);
    assert_eq!(
        b.end(other, Some("perhaps the older")).await,
        WriteEnd::Overlapped
    );
    assert_eq!(b.get().await, None);
}

async fn an_invalidation_beside_a_write_moves_the_generation(b: Bench) {
    b.begin().await;
    let before = b.generation().await;
    b.invalidate().await;
    assert_ne!(b.generation().await, before);
}

async fn clear_leaves_intents_and_fences(b: Bench) {
    let stored = b
        .backend
        .put_if_newer(&b.key, 7, b.value("seven"), LONG)
        .await;
    assert!(stored.expect("put_if_newer"));
    let write = b.begin().await;
    b.backend.clear().await.expect("clear");
    b.generation().await;
    assert_eq!(
        b.end(write, Some("from before")).await,
        WriteEnd::Overlapped
    );
    let stored = b
        .backend
        .put_if_newer(&b.key, 6, b.value("six"), LONG)
        .await;
    assert!(!stored.expect("put_if_newer"), "the fence is still there");
}
