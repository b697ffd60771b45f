//! Pending values: what readers see from the append of a write to its end.

use super::super::{LONG, leases};
use super::{LogBench, log_suite};
use crate::backend::log::{Append, Appended};
use crate::backend::{Ask, Fill, Lease, LeaseMode, Tags, Token, WriteEnd};

log_suite![
    an_appended_value_is_cached,
    appending_without_a_value_leaves_value_and_lease,
    appending_a_value_ends_the_lease,
    waiting_ends_when_a_value_is_appended,
    an_append_overlaps_a_write_in_progress,
    an_append_without_a_value_overlaps_a_write_in_progress,
    an_append_beside_a_write_stores_nothing,
    nothing_is_put_over_a_pending_value,
    a_write_that_began_after_the_append_stores_nothing,
    none_of_many_is_filled_over_a_pending_value,
    a_later_value_takes_the_place_of_an_earlier_one,
    a_later_write_without_a_value_leaves_the_pending_one,
    a_refused_append_leaves_the_pending_value,
    finishing_leaves_the_value_cached_and_not_pending,
    finishing_an_earlier_write_leaves_a_later_value_pending,
    finishing_a_write_without_a_value_leaves_value_and_lease,
    finishing_may_remove_value_and_lease,
    finishing_overlaps_a_write_in_progress,
    burying_removes_the_value,
    burying_an_earlier_write_leaves_a_later_value_pending,
    burying_may_remove_value_and_lease,
    burying_overlaps_a_write_in_progress,
];

impl LogBench {
    /// Whether the next miss gets the pending value, which `text` is.
    pub(super) async fn assert_pending(&self, text: &str) {
        self.invalidate().await;
        match self.lease().await.1 {
            Lease::Hit(stored) => assert_eq!(super::super::text(&stored), text),
            other => panic!("{text} is pending, yet {other:?}"),
        }
    }

    async fn assert_not_pending(&self) {
        self.invalidate().await;
        let lease = self.granted().await;
        assert!(self.fill(lease, "loaded").await);
        assert_eq!(self.get().await.as_deref(), Some("loaded"));
    }
}

async fn an_appended_value_is_cached(b: LogBench) {
    b.logged(b.valued("one")).await;
    assert_eq!(b.get().await.as_deref(), Some("one"));
    b.logged(b.valued("two")).await;
    assert_eq!(b.get().await.as_deref(), Some("two"));
}

async fn appending_without_a_value_leaves_value_and_lease(b: LogBench) {
    b.put("cached").await;
    let (token, lease) = b.lease_mode(LONG, LeaseMode::Refresh).await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    b.logged(b.write("one")).await;
    assert_eq!(b.get().await.as_deref(), Some("cached"));
    assert!(b.fill(token, "loaded").await, "the lease still stands");
    b.put("put").await;
    assert_eq!(b.get().await.as_deref(), Some("put"));
    b.invalidate().await;
    b.granted().await;
}

async fn appending_a_value_ends_the_lease(b: LogBench) {
    let token = b.granted().await;
    b.logged(b.valued("one")).await;
    assert!(!b.backend.renew(&b.key, token, LONG).await.expect("renew"));
    assert!(!b.fill(token, "from before").await);
    assert_eq!(b.get().await.as_deref(), Some("one"));
}

async fn waiting_ends_when_a_value_is_appended(b: LogBench) {
    let bench = b.bench.clone();
    leases::woken_by(bench, |_, _| async move {
        b.logged(b.valued("one")).await;
    })
    .await;
}

/// Appends beside a write in progress. It ends while what was appended is pending: the end of that would overlap it too.
async fn overlaps(b: LogBench, append: Append) {
    let write = b.begin().await;
    b.logged(append).await;
    assert_eq!(b.end(write, Some("ended")).await, WriteEnd::Overlapped);
    assert_eq!(b.get().await, None);
}

async fn an_append_overlaps_a_write_in_progress(b: LogBench) {
    let append = b.valued("one");
    overlaps(b, append).await;
}

async fn an_append_without_a_value_overlaps_a_write_in_progress(b: LogBench) {
    let append = b.write("one");
    overlaps(b, append).await;
}

async fn an_append_beside_a_write_stores_nothing(b: LogBench) {
    let owner = b.owner().await;
    let write = b.begin().await;
    let one = b.logged(b.valued("one")).await;
    assert_eq!(b.get().await, None);
    b.assert_pending("one").await;
    assert_eq!(b.get().await, None);
    assert!(b.finish(owner, &[one]).await);
    assert!(matches!(b.lease().await.1, Lease::Bypass(_, _)));
    b.end(write, None).await;
    b.assert_not_pending().await;
}

async fn nothing_is_put_over_a_pending_value(b: LogBench) {
    let token = b.granted().await;
    b.logged(b.valued("pending")).await;
    for _ in 0..2 {
        let cached = b.get().await;
        assert!(!b.put("put").await);
        assert!(!b.newer(7, "newer").await);
        assert!(!b.fill(token, "filled").await);
        assert_eq!(b.get().await, cached);
        b.invalidate().await;
    }
    b.assert_pending("pending").await;
}

async fn a_write_that_began_after_the_append_stores_nothing(b: LogBench) {
    b.logged(b.valued("pending")).await;
    let write = b.begin().await;
    assert_eq!(b.get().await, None);
    assert_eq!(b.end(write, Some("ended")).await, WriteEnd::Overlapped);
    assert_eq!(b.get().await, None);
    b.assert_pending("pending").await;
    assert_eq!(b.get().await.as_deref(), Some("pending"));
}

async fn none_of_many_is_filled_over_a_pending_value(b: LogBench) {
    let other = b.at(&b.key_in(3, 0));
    let asks: Vec<_> = [&b, &other]
        .map(|b| Ask {
            key: b.key.clone(),
            tags: Tags::new(),
            token: Token::fresh(),
            mode: LeaseMode::IfMissing,
        })
        .into();
    let leases = b.backend.lease_many(&asks, LONG).await;
    assert_eq!(leases.expect("lease_many").len(), 2);
    b.logged(b.valued("pending")).await;
    b.invalidate().await;
    let fills = asks.iter().map(|ask| Fill {
        key: ask.key.clone(),
        token: ask.token,
        value: b.value("filled"),
        keep: LONG,
    });
    let filled = b.backend.fill_many(fills.collect()).await;
    assert_eq!(filled.expect("fill_many"), [false, true]);
    assert_eq!(b.get().await, None);
    let leases = b.backend.lease_many(&asks, LONG).await;
    let leases = leases.expect("lease_many");
    let [Lease::Hit(pending), Lease::Hit(filled)] = &leases[..] else {
        panic!("{leases:?}")
    };
    assert_eq!(super::super::text(pending), "pending");
    assert_eq!(super::super::text(filled), "filled");
    assert_eq!(b.get().await.as_deref(), Some("pending"));
}

async fn a_later_value_takes_the_place_of_an_earlier_one(b: LogBench) {
    b.logged(b.valued("one")).await;
    b.invalidate().await;
    b.logged(b.valued("two")).await;
    assert_eq!(b.get().await.as_deref(), Some("two"));
    b.assert_pending("two").await;
}

async fn a_later_write_without_a_value_leaves_the_pending_one(b: LogBench) {
    b.logged(b.valued("one")).await;
    b.logged(b.write("two")).await;
    assert_eq!(b.get().await.as_deref(), Some("one"));
    b.assert_pending("one").await;
}

async fn a_refused_append_leaves_the_pending_value(b: LogBench) {
    b.logged(b.valued("one")).await;
    let refused = Append {
        max_pending: 1,
        ..b.valued("two")
    };
    assert!(matches!(b.append(refused).await, Appended::Full { .. }));
    assert_eq!(b.get().await.as_deref(), Some("one"));
    b.assert_pending("one").await;
}

async fn finishing_leaves_the_value_cached_and_not_pending(b: LogBench) {
    let owner = b.owner().await;
    let (one, two) = (
        b.logged(b.valued("one")).await,
        b.logged(b.valued("two")).await,
    );
    assert!(b.finish(owner, &[one, two]).await);
    assert_eq!(b.get().await.as_deref(), Some("two"));
    assert!(b.put("put").await);
    assert!(b.newer(7, "newer").await);
    b.assert_not_pending().await;
    let write = b.begin().await;
    assert_eq!(b.end(write, Some("ended")).await, WriteEnd::Clean);
}

async fn finishing_an_earlier_write_leaves_a_later_value_pending(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("one")).await;
    let two = b.logged(b.valued("two")).await;
    assert!(b.finish(owner, &[one]).await);
    assert_eq!(b.get().await.as_deref(), Some("two"));
    b.assert_pending("two").await;
    assert!(b.finish(owner, &[two]).await);
    b.assert_not_pending().await;
}

async fn finishing_a_write_without_a_value_leaves_value_and_lease(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.write("one")).await;
    b.put("cached").await;
    let (token, lease) = b.lease_mode(LONG, LeaseMode::Refresh).await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    assert!(b.finish(owner, &[one]).await);
    assert_eq!(b.get().await.as_deref(), Some("cached"));
    assert!(b.fill(token, "loaded").await);
}

async fn finishing_may_remove_value_and_lease(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.write("one")).await;
    b.put("cached").await;
    let (token, lease) = b.lease_mode(LONG, LeaseMode::Refresh).await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    assert!(b.finish_invalidating(owner, &[one]).await);
    assert_eq!(b.get().await, None);
    assert!(!b.fill(token, "from before").await);
    assert_eq!(b.get().await, None);
    let two = b.logged(b.valued("two")).await;
    assert!(b.finish_invalidating(owner, &[two]).await);
    assert_eq!(b.get().await, None, "also where it was pending");
    b.assert_not_pending().await;
}

async fn finishing_overlaps_a_write_in_progress(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("one")).await;
    let write = b.begin().await;
    assert!(b.finish(owner, &[one]).await);
    assert_eq!(
        b.end(write, Some("perhaps from before")).await,
        WriteEnd::Overlapped
    );
    assert_eq!(b.get().await, None);
}

async fn burying_removes_the_value(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("one")).await;
    assert!(b.bury(owner, &[one]).await);
    assert_eq!(b.get().await, None);
    b.assert_not_pending().await;
    let write = b.begin().await;
    assert_eq!(b.end(write, Some("ended")).await, WriteEnd::Clean);
}

async fn burying_an_earlier_write_leaves_a_later_value_pending(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("one")).await;
    b.logged(b.valued("two")).await;
    assert!(b.bury(owner, &[one]).await);
    assert_eq!(b.get().await.as_deref(), Some("two"));
    b.assert_pending("two").await;
}

async fn burying_may_remove_value_and_lease(b: LogBench) {
    let owner = b.owner().await;
    let (one, two) = (
        b.logged(b.write("one")).await,
        b.logged(b.write("two")).await,
    );
    b.put("cached").await;
    let (token, lease) = b.lease_mode(LONG, LeaseMode::Refresh).await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    assert!(b.bury(owner, &[one]).await);
    assert_eq!(b.get().await.as_deref(), Some("cached"));
    let mut burial = b.burial(&[two]);
    burial.done.invalidates = true;
    assert!(b.bury_as(owner, burial).await);
    assert_eq!(b.get().await, None);
    assert!(!b.fill(token, "from before").await);
}

async fn burying_overlaps_a_write_in_progress(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("one")).await;
    let write = b.begin().await;
    assert!(b.bury(owner, &[one]).await);
    assert_eq!(
        b.end(write, Some("perhaps from before")).await,
        WriteEnd::Overlapped
    );
    assert_eq!(b.get().await, None);
}
