//! Many keys in one call: each by itself, the answers in their order.

use super::{Bench, LONG, suite, text};
use crate::backend::{Ask, Fill, HeldLease, Lease, LeaseMode, Tags, Token};
use crate::key::Key;

suite![
    many_values_come_in_the_order_of_their_keys,
    many_leases_are_answered_each_by_itself,
    many_leases_may_be_for_values_to_be_replaced,
    a_lost_lease_costs_its_own_value_alone,
    many_renewals_say_which_leases_still_stand,
    many_renewals_count_from_now,
    many_releases_end_their_own_leases_alone,
    none_of_many_is_fine,
];

impl Bench {
    /// So many keys that nobody else uses.
    fn keys<const N: usize>(&self) -> [Key; N] {
        std::array::from_fn(|n| Key::from(format!("{}:{n}", self.key)))
    }

    /// This bench with another of its keys.
    fn on(&self, key: &Key) -> Self {
        Self {
            backend: self.backend.clone(),
            key: key.clone(),
        }
    }

    async fn lease_all(&self, asks: &[Ask]) -> Vec<Lease> {
        let leases = self.backend.lease_many(asks, LONG).await;
        let leases = leases.expect("lease_many");
        assert_eq!(leases.len(), asks.len(), "an answer for each");
        leases
    }

    async fn renew_all(&self, held: &[HeldLease]) -> Vec<bool> {
        self.backend
            .renew_many(held, LONG)
            .await
            .expect("renew_many")
    }

    async fn fill_all(&self, held: &[HeldLease], texts: &[&str]) -> Vec<bool> {
        let fill = |((key, token), text): (&HeldLease, &&str)| Fill {
            key: key.clone(),
            token: *token,
            value: self.value(text),
            keep: LONG,
        };
        let fills = held.iter().zip(texts).map(fill).collect();
        self.backend.fill_many(fills).await.expect("fill_many")
    }

    async fn get_all(&self, keys: &[Key]) -> Vec<Option<String>> {
        let found = self.backend.get_many(keys, &[]).await.expect("get_many");
        found.iter().map(|found| found.as_ref().map(text)).collect()
    }
}

fn asks(keys: &[Key], mode: LeaseMode) -> Vec<Ask> {
    let ask = |key: &Key| Ask {
        key: key.clone(),
        tags: Tags::new(),
        token: Token::fresh(),
        mode,
    };
    keys.iter().map(ask).collect()
}

fn held(asks: &[Ask]) -> Vec<HeldLease> {
    asks.iter()
        .map(|ask| (ask.key.clone(), ask.token))
        .collect()
}

async fn many_values_come_in_the_order_of_their_keys(b: Bench) {
    let [one, two, none] = b.keys();
    b.on(&one).put("one").await;
    b.on(&two).put("two").await;
    let keys = [
        two.clone(),
        none.clone(),
        one.clone(),
        two.clone(),
        none,
        two,
        one,
    ];
    let found = b.get_all(&keys).await;
    let found: Vec<_> = found.iter().map(Option::as_deref).collect();
    let (one, two) = (Some("one"), Some("two"));
    assert_eq!(found, [two, None, one, two, None, two, one]);
}

async fn many_leases_are_answered_each_by_itself(b: Bench) {
    let keys: [Key; 5] = b.keys();
    b.on(&keys[1]).put("one").await;
    let holder = b.on(&keys[2]).granted().await;
    b.on(&keys[3]).begin().await;
    let asks = asks(&keys, LeaseMode::IfMissing);
    let leases = b.lease_all(&asks).await;
    let [first, hit, busy, bypass, last] = &leases[..] else {
        panic!("{leases:?}")
    };
    assert!(matches!(first, Lease::Granted(_)), "{first:?}");
    assert!(
        matches!(hit, Lease::Hit(stored) if text(stored) == "one"),
        "{hit:?}"
    );
    assert!(
        matches!(busy, Lease::Busy(token, _) if *token == holder),
        "{busy:?}"
    );
    assert!(matches!(bypass, Lease::Bypass(_, _)), "{bypass:?}");
    assert!(matches!(last, Lease::Granted(_)), "{last:?}");
    let stored = b.fill_all(&held(&asks), &["v"; 5]).await;
    assert_eq!(
        stored,
        [true, false, false, false, true],
        "under the leases that were granted, and no others"
    );
}

async fn many_leases_may_be_for_values_to_be_replaced(b: Bench) {
    let keys: [Key; 3] = b.keys();
    let mut marks = Vec::new();
    for key in &keys {
        b.on(key).put("old").await;
        marks.push(b.on(key).mark().await);
    }
    b.on(&keys[1]).put("newer").await;
    let mut asks = asks(&keys, LeaseMode::Refresh);
    asks[0].mode = LeaseMode::IfStill(marks[0]);
    asks[1].mode = LeaseMode::IfStill(marks[1]);
    let leases = b.lease_all(&asks).await;
    assert!(matches!(leases[0], Lease::Granted(_)), "{leases:?}");
    assert!(
        matches!(&leases[1], Lease::Hit(stored) if text(stored) == "newer"),
        "{leases:?}"
    );
    assert!(matches!(leases[2], Lease::Granted(_)), "{leases:?}");
}

async fn a_lost_lease_costs_its_own_value_alone(b: Bench) {
    let keys: [Key; 4] = b.keys();
    let asks = asks(&keys, LeaseMode::IfMissing);
    b.lease_all(&asks).await;
    b.on(&keys[0]).invalidate().await;
    b.on(&keys[2]).put("put").await;
    let texts = ["zero", "one", "two", "three"];
    let stored = b.fill_all(&held(&asks), &texts).await;
    assert_eq!(stored, [false, true, false, true]);
    let found = b.get_all(&keys).await;
    let found: Vec<_> = found.iter().map(Option::as_deref).collect();
    assert_eq!(found, [None, Some("one"), Some("put"), Some("three")]);
    let again = b.fill_all(&held(&asks), &texts).await;
    assert_eq!(again, [false; 4], "a fill ends its lease");
}

async fn many_renewals_say_which_leases_still_stand(b: Bench) {
    let keys: [Key; 3] = b.keys();
    let asks = asks(&keys, LeaseMode::IfMissing);
    b.lease_all(&asks).await;
    b.on(&keys[1]).invalidate().await;
    assert_eq!(b.renew_all(&held(&asks)).await, [true, false, true]);
}

async fn many_renewals_count_from_now(b: Bench) {
    let keys: [Key; 2] = b.keys();
    let asks = asks(&keys, LeaseMode::IfMissing);
    b.lease_all(&asks).await;
    let short = super::SHORT;
    let renewed = b.backend.renew_many(&held(&asks), short).await;
    assert_eq!(renewed.expect("renew_many"), [true, true]);
    for key in &keys {
        b.on(key).granted_in_time().await;
    }
}

async fn many_releases_end_their_own_leases_alone(b: Bench) {
    let keys: [Key; 3] = b.keys();
    let asks = asks(&keys, LeaseMode::IfMissing);
    b.lease_all(&asks).await;
    let mut given_up = held(&asks);
    given_up[1].1 = Token::fresh();
    b.backend
        .release_many(&given_up)
        .await
        .expect("release_many");
    assert_eq!(b.renew_all(&held(&asks)).await, [false, true, false]);
    b.on(&keys[0]).granted().await;
    b.on(&keys[2]).granted().await;
}

async fn none_of_many_is_fine(b: Bench) {
    assert!(b.get_all(&[]).await.is_empty());
    assert!(b.lease_all(&[]).await.is_empty());
    assert!(b.renew_all(&[]).await.is_empty());
    assert!(b.fill_all(&[], &[]).await.is_empty());
    b.backend.release_many(&[]).await.expect("release_many");
}
