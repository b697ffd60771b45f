//! Leases: one load at a time, and no store without one.

use std::sync::Arc;
use std::time::Duration;

use super::{Bench, DEADLINE, LONG, SHORT, suite, text};
use crate::backend::{Lease, LeaseMode, Token};

suite![
    a_free_key_grants_one_lease,
    a_key_with_a_value_answers_with_it,
    a_refresh_is_granted_beside_a_value_which_stays_readable,
    a_fill_under_the_lease_stores_and_ends_it,
    a_fill_under_another_token_stores_nothing,
    a_fill_after_an_invalidation_stores_nothing,
    a_fill_after_an_invalidation_does_not_end_the_next_lease,
    a_fill_after_a_put_stores_nothing,
    a_second_fill_stores_nothing,
    a_released_lease_is_free,
    releasing_another_token_changes_nothing,
    an_expired_lease_is_free_and_its_fill_refused,
    a_renewed_lease_lives_on,
    renewing_a_lost_lease_fails,
    waiting_ends_when_the_lease_is_filled,
    waiting_ends_when_the_lease_is_released,
    waiting_ends_when_the_key_is_invalidated,
    waiting_ends_when_the_lease_expires,
    waiting_for_a_lease_that_is_gone_ends_at_once,
    waiting_ends_with_its_patience,
];

async fn a_free_key_grants_one_lease(b: Bench) {
    let token = b.granted().await;
    let (_, second) = b.lease().await;
    assert!(
        matches!(second, Lease::Busy(holder, _) if holder == token),
        "{second:?}"
    );
}

async fn a_key_with_a_value_answers_with_it(b: Bench) {
    b.put("one").await;
    match b.lease().await.1 {
        Lease::Hit(stored) => assert_eq!(text(&stored), "one"),
        other => panic!("{other:?}"),
    }
}

async fn a_refresh_is_granted_beside_a_value_which_stays_readable(b: Bench) {
    b.put("one").await;
    let (token, lease) = b.lease_mode(LONG, LeaseMode::Refresh).await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    let (_, second) = b.lease_mode(LONG, LeaseMode::Refresh).await;
    assert!(
        matches!(second, Lease::Busy(holder, _) if holder == token),
        "{second:?}"
    );
    assert_eq!(b.get().await.as_deref(), Some("one"));
    assert!(b.fill(token, "two").await);
    assert_eq!(b.get().await.as_deref(), Some("two"));
}

async fn a_fill_under_the_lease_stores_and_ends_it(b: Bench) {
    let token = b.granted().await;
    assert!(b.fill(token, "one").await);
    assert_eq!(b.get().await.as_deref(), Some("one"));
    b.invalidate().await;
    b.granted().await;
}

async fn a_fill_under_another_token_stores_nothing(b: Bench) {
    let token = b.granted().await;
    assert!(!b.fill(Token::fresh(), "wrong").await);
    assert_eq!(b.get().await, None);
    assert!(b.fill(token, "right").await, "the lease still stands");
}

async fn a_fill_after_an_invalidation_stores_nothing(b: Bench) {
    let token = b.granted().await;
    b.invalidate().await;
    assert!(!b.fill(token, "old").await);
    assert_eq!(b.get().await, None);
}

async fn a_fill_after_an_invalidation_does_not_end_the_next_lease(b: Bench) {
    let old = b.granted().await;
    b.invalidate().await;
    let new = b.granted().await;
    assert!(!b.fill(old, "old").await);
    assert!(b.fill(new, "new").await);
    assert_eq!(b.get().await.as_deref(), Some("new"));
}

async fn a_fill_after_a_put_stores_nothing(b: Bench) {
    let token = b.granted().await;
    b.put("put").await;
    assert!(!b.fill(token, "older").await);
    assert_eq!(b.get().await.as_deref(), Some("put"));
}

async fn a_second_fill_stores_nothing(b: Bench) {
    let token = b.granted().await;
    assert!(b.fill(token, "one").await);
    assert!(!b.fill(token, "two").await);
    assert_eq!(b.get().await.as_deref(), Some("one"));
}

async fn a_released_lease_is_free(b: Bench) {
    let token = b.granted().await;
    b.backend.release(&b.key, token).await.expect("release");
    assert!(!b.fill(token, "late").await);
    b.granted().await;
}

async fn releasing_another_token_changes_nothing(b: Bench) {
    let token = b.granted().await;
    b.backend
        .release(&b.key, Token::fresh())
        .await
        .expect("release");
    assert!(b.fill(token, "one").await);
}

async fn an_expired_lease_is_free_and_its_fill_refused(b: Bench) {
    let (token, lease) = b.lease_mode(SHORT, LeaseMode::IfMissing).await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    let next = b.granted_in_time().await;
    assert!(!b.fill(token, "late").await);
    assert!(b.fill(next, "next").await);
}

async fn a_renewed_lease_lives_on(b: Bench) {
    let (token, lease) = b
        .lease_mode(Duration::from_secs(5), LeaseMode::IfMissing)
        .await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    assert!(b.backend.renew(&b.key, token, LONG).await.expect("renew"));
    let (_, second) = b.lease().await;
    assert!(
        matches!(second, Lease::Busy(holder, _) if holder == token),
        "{second:?}"
    );
    // Renewed to less than it had: the new time counts.
    assert!(b.backend.renew(&b.key, token, SHORT).await.expect("renew"));
    b.granted_in_time().await;
}

async fn renewing_a_lost_lease_fails(b: Bench) {
    let token = b.granted().await;
    b.invalidate().await;
    assert!(!b.backend.renew(&b.key, token, LONG).await.expect("renew"));
    b.granted().await;
    assert!(!b.backend.renew(&b.key, token, LONG).await.expect("renew"));
}

/// A waiter with patience for much longer than the case, which must be woken by what `end` does.
pub(super) async fn woken_by<F: Future<Output = ()>>(
    b: Bench,
    end: impl FnOnce(Arc<Bench>, Token) -> F,
) {
    let b = Arc::new(b);
    let token = b.granted().await;
    let waiting = {
        let b = b.clone();
        tokio::spawn(async move { b.backend.wait(&b.key, token, LONG).await.expect("wait") })
    };
    // Whether the waiter has begun by now or not, it must come back; a few turns make it likely that it has.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    end(b, token).await;
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .expect("the waiter was not woken")
        .expect("the waiter panicked");
}

async fn waiting_ends_when_the_lease_is_filled(b: Bench) {
    woken_by(b, |b, token| async move {
        assert!(b.fill(token, "one").await);
    })
    .await;
}

async fn waiting_ends_when_the_lease_is_released(b: Bench) {
    woken_by(b, |b, token| async move {
        b.backend.release(&b.key, token).await.expect("release");
    })
    .await;
}

async fn waiting_ends_when_the_key_is_invalidated(b: Bench) {
    woken_by(b, |b, _| async move { b.invalidate().await }).await;
}

async fn waiting_ends_when_the_lease_expires(b: Bench) {
    let (token, _) = b.lease_mode(SHORT, LeaseMode::IfMissing).await;
    let waiting = b.backend.wait(&b.key, token, LONG);
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .expect("the waiter was not woken")
        .expect("wait");
}

async fn waiting_for_a_lease_that_is_gone_ends_at_once(b: Bench) {
    let token = b.granted().await;
    b.invalidate().await;
    let waiting = b.backend.wait(&b.key, token, LONG);
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .expect("it does not stand any more")
        .expect("wait");
}

async fn waiting_ends_with_its_patience(b: Bench) {
    let token = b.granted().await;
    let waiting = b.backend.wait(&b.key, token, SHORT);
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .expect("its patience is over")
        .expect("wait");
}
