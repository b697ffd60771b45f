//! Values: stored, read, expired, removed.

use std::time::{Duration, Instant};

use super::{Bench, DEADLINE, LONG, SHORT, suite};
use crate::key::Key;

suite![
    an_empty_key_is_a_miss,
    a_put_value_is_read_back,
    a_later_put_replaces_an_earlier_one,
    an_empty_value_is_a_value,
    a_value_expires_at_its_ttl_and_not_before,
    invalidating_removes_the_value,
    invalidating_nothing_is_fine,
    many_keys_are_invalidated_in_one_call,
    keys_do_not_touch_each_other,
    clear_removes_values_and_leases,
    an_older_version_is_not_stored,
    the_same_version_is_not_stored_twice,
    a_fence_outlives_its_value,
    versions_beyond_2_to_the_53_are_told_apart,
    a_ping_is_answered,
];

async fn an_empty_key_is_a_miss(b: Bench) {
    assert_eq!(b.get().await, None);
}

async fn a_put_value_is_read_back(b: Bench) {
    assert!(b.put("one").await);
    assert_eq!(b.get().await.as_deref(), Some("one"));
    if let Some(now) = b.backend.get_now(&b.key) {
        assert_eq!(
            now.as_ref().map(super::text).as_deref(),
            Some("one"),
            "get_now and get agree"
        );
    }
}

async fn a_later_put_replaces_an_earlier_one(b: Bench) {
    b.put("one").await;
    b.put("two").await;
    assert_eq!(b.get().await.as_deref(), Some("two"));
}

async fn an_empty_value_is_a_value(b: Bench) {
    b.put("").await;
    assert_eq!(b.get().await.as_deref(), Some(""));
}

async fn a_value_expires_at_its_ttl_and_not_before(b: Bench) {
    let ttl = Duration::from_millis(300);
    let before = Instant::now();
    b.backend
        .put(&b.key, b.value("one"), ttl)
        .await
        .expect("put");
    loop {
        // Asked before the time is read: had it been gone too early, the time would show it.
        let found = b.get().await;
        let age = before.elapsed();
        if found.is_none() {
            assert!(age >= ttl, "gone after {age:?}, before its TTL of {ttl:?}");
            return;
        }
        assert!(age < DEADLINE, "still there after {age:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn invalidating_removes_the_value(b: Bench) {
    b.put("one").await;
    b.invalidate().await;
    assert_eq!(b.get().await, None);
}

async fn invalidating_nothing_is_fine(b: Bench) {
    b.invalidate().await;
    b.backend.invalidate(&[]).await.expect("invalidate no key");
    assert_eq!(b.get().await, None);
}

async fn many_keys_are_invalidated_in_one_call(b: Bench) {
    let keys: Vec<Key> = (0..300)
        .map(|n| Key::from(format!("{}:{n}", b.key)))
        .collect();
    for key in &keys {
        b.backend.put(key, b.value("one"), LONG).await.expect("put");
    }
    b.backend.invalidate(&keys).await.expect("invalidate");
    for key in &keys {
        assert!(
            b.backend.get(key).await.expect("get").is_none(),
            "{key} is still there"
        );
    }
}

async fn keys_do_not_touch_each_other(b: Bench) {
    let other = Key::from(format!("{}:other", b.key));
    b.backend
        .put(&other, b.value("other"), LONG)
        .await
        .expect("put");
    b.put("one").await;
    let lease = b.granted_after_invalidate().await;
    assert!(b.fill(lease, "two").await);
    let found = b.backend.get(&other).await.expect("get");
    assert_eq!(found.as_ref().map(super::text).as_deref(), Some("other"));
}

async fn clear_removes_values_and_leases(b: Bench) {
    let other = Key::from(format!("{}:other", b.key));
    b.backend
        .put(&other, b.value("one"), LONG)
        .await
        .expect("put");
    let token = b.granted().await;
    b.backend.clear().await.expect("clear");
    assert!(b.backend.get(&other).await.expect("get").is_none());
    assert!(
        !b.fill(token, "late").await,
        "a load from before the clear must not be stored"
    );
    assert_eq!(b.get().await, None);
}

async fn an_older_version_is_not_stored(b: Bench) {
    assert!(b.newer(7, "seven").await);
    assert!(!b.newer(6, "six").await);
    assert_eq!(b.get().await.as_deref(), Some("seven"));
    assert!(b.newer(8, "eight").await);
    assert_eq!(b.get().await.as_deref(), Some("eight"));
}

async fn the_same_version_is_not_stored_twice(b: Bench) {
    assert!(b.newer(7, "seven").await);
    b.invalidate().await;
    assert!(!b.newer(7, "again").await);
    assert_eq!(b.get().await, None);
}

async fn a_fence_outlives_its_value(b: Bench) {
    b.backend
        .put_if_newer(&b.key, 7, b.value("seven"), SHORT)
        .await
        .expect("put_if_newer");
    let began = Instant::now();
    while b.get().await.is_some() {
        assert!(began.elapsed() < DEADLINE, "the value does not expire");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(!b.newer(6, "six").await);
    assert_eq!(b.get().await, None);
}

async fn versions_beyond_2_to_the_53_are_told_apart(b: Bench) {
    let large = (1 << 60) + 1;
    assert!(b.newer(large, "large").await);
    assert!(!b.newer(large - 1, "smaller").await);
    assert!(b.newer(large + 1, "larger").await);
    assert!(b.newer(u64::MAX, "largest").await);
    assert_eq!(b.get().await.as_deref(), Some("largest"));
}

async fn a_ping_is_answered(b: Bench) {
    b.backend.ping().await.expect("ping");
}

impl Bench {
    pub(super) async fn newer(&self, version: u64, text: &str) -> bool {
        self.backend
            .put_if_newer(&self.key, version, self.value(text), LONG)
            .await
            .expect("put_if_newer")
    }

    async fn granted_after_invalidate(&self) -> crate::backend::Token {
        self.invalidate().await;
        self.granted().await
    }
}
