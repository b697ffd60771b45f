//! Pending values that the cache has lost: whoever misses them brings them back.

use std::time::{Duration, Instant};

use super::super::{DEADLINE, LONG, SHORT, ages::age, text};
use super::{LogBench, log_suite};
use crate::backend::{Lease, LeaseMode, WriteEnd};

log_suite![
    an_invalidated_pending_value_comes_back_in_every_mode,
    a_cleared_pending_value_comes_back_in_every_mode,
    an_expired_pending_value_comes_back_in_every_mode,
    a_pending_value_that_a_write_removed_comes_back_in_every_mode,
    a_cached_pending_value_is_a_hit_in_every_mode,
    a_pending_value_comes_back_at_age_zero,
    a_pending_value_comes_back_with_its_ttl,
    beside_a_write_a_pending_value_is_only_answered,
    clear_loses_no_write,
    an_invalidation_loses_no_write,
];

impl LogBench {
    /// Asks as everyone asks who does not want what is cached; each time `remove` has taken it out.
    async fn comes_back<F: Future<Output = ()>>(&self, remove: impl Fn() -> F) {
        let mark = self.mark().await;
        self.at(&self.key_in(0, 0)).put("another").await;
        let another = self.at(&self.key_in(0, 0)).mark().await;
        let modes = [
            LeaseMode::IfMissing,
            LeaseMode::IfStill(mark),
            LeaseMode::IfStill(another),
            LeaseMode::Refresh,
        ];
        for mode in modes {
            remove().await;
            match self.lease_mode(LONG, mode).await.1 {
                Lease::Hit(stored) => assert_eq!(text(&stored), "pending"),
                other => panic!("{mode:?}: {other:?}"),
            }
            assert_eq!(self.get().await.as_deref(), Some("pending"), "{mode:?}");
        }
    }

    async fn gone_in_time(&self) {
        let began = Instant::now();
        while self.get().await.is_some() {
            assert!(began.elapsed() < DEADLINE, "the value does not expire");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn an_invalidated_pending_value_comes_back_in_every_mode(b: LogBench) {
    b.logged(b.valued("pending")).await;
    b.comes_back(async || {
        b.invalidate().await;
        assert_eq!(b.get().await, None);
    })
    .await;
}

async fn a_cleared_pending_value_comes_back_in_every_mode(b: LogBench) {
    b.logged(b.valued("pending")).await;
    b.comes_back(async || {
        b.backend.clear().await.expect("clear");
        assert_eq!(b.get().await, None);
    })
    .await;
}

async fn an_expired_pending_value_comes_back_in_every_mode(b: LogBench) {
    // Long enough to be read after it came back.
    b.logged(b.valued_for("pending", SHORT * 25)).await;
    b.comes_back(async || b.gone_in_time().await).await;
}

async fn a_pending_value_that_a_write_removed_comes_back_in_every_mode(b: LogBench) {
    b.logged(b.valued("pending")).await;
    b.comes_back(async || {
        let write = b.begin().await;
        assert_eq!(b.end(write, None).await, WriteEnd::Overlapped);
        assert_eq!(b.get().await, None);
    })
    .await;
}

async fn a_cached_pending_value_is_a_hit_in_every_mode(b: LogBench) {
    b.logged(b.valued("pending")).await;
    b.comes_back(async || {}).await;
}

async fn a_pending_value_comes_back_at_age_zero(b: LogBench) {
    let old = SHORT * 5;
    b.logged(b.valued("pending")).await;
    for remove in [true, false] {
        b.aged(old).await;
        let before = Instant::now();
        if remove {
            b.invalidate().await;
        }
        let Lease::Hit(answer) = b.lease().await.1 else {
            panic!("it is pending")
        };
        let cached = b.stored().await;
        let most = old + before.elapsed();
        assert!(age(&answer) < most, "{:?} is its old age", age(&answer));
        assert!(age(&cached) < most, "{:?} is its old age", age(&cached));
        assert_eq!(answer.mark(), cached.mark());
    }
}

async fn a_pending_value_comes_back_with_its_ttl(b: LogBench) {
    let ttl = SHORT * 10;
    b.logged(b.valued_for("pending", ttl)).await;
    b.gone_in_time().await;
    let before = Instant::now();
    b.assert_pending("pending").await;
    b.gone_in_time().await;
    let lived = before.elapsed();
    assert!(
        lived >= ttl,
        "gone after {lived:?}, before its TTL of {ttl:?}"
    );
}

async fn beside_a_write_a_pending_value_is_only_answered(b: LogBench) {
    b.logged(b.valued("pending")).await;
    let write = b.begin().await;
    for mode in [LeaseMode::IfMissing, LeaseMode::Refresh] {
        match b.lease_mode(LONG, mode).await.1 {
            Lease::Hit(stored) => assert_eq!(text(&stored), "pending"),
            other => panic!("{other:?}"),
        }
        assert_eq!(b.get().await, None);
    }
    b.end(write, None).await;
    b.assert_pending("pending").await;
    assert_eq!(b.get().await.as_deref(), Some("pending"));
}

async fn clear_loses_no_write(b: LogBench) {
    let owner = b.owner().await;
    let letter = b.logged(b.write("letter")).await;
    assert!(b.bury(owner, &[letter]).await);
    let one = b.logged(b.valued("one")).await;
    assert!(b.begin_run(owner, one, 1).await);
    b.backend.clear().await.expect("clear");
    assert_eq!(b.sequences().await, [one]);
    assert_eq!(b.begun().await.len(), 1);
    let letters = b.log().letters(0, 2).await.expect("letters");
    assert_eq!(letters.len(), 1);
    let size = b.log().size().await.expect("size");
    assert_eq!(size.pending, [(b.function(), 1)]);
    assert!(b.logged(b.write("two")).await > one);
    assert!(b.finish(owner, &[one]).await, "the owner still is");
}

async fn an_invalidation_loses_no_write(b: LogBench) {
    let one = b.logged(b.valued("one")).await;
    let two = b.logged(b.write("two")).await;
    b.invalidate().await;
    b.newer(7, "newer").await;
    b.put("put").await;
    let write = b.begin().await;
    b.end(write, None).await;
    assert_eq!(b.sequences().await, [one, two]);
}
