//! Pending values beside other changes of the row: which of the two came first nobody knows, so none stays in the cache.

use std::time::Instant;

use super::super::{DEADLINE, SHORT, text};
use super::{LogBench, log_suite};
use crate::backend::{Lease, Token, WriteEnd};

log_suite![
    an_invalidated_value_goes_when_it_is_finished,
    a_cleared_value_goes_when_it_is_finished,
    a_value_beside_which_a_write_ended_goes_when_it_is_finished,
    a_value_beside_which_a_write_was_lost_goes_when_it_is_finished,
    a_value_that_was_appended_beside_a_lost_write_goes_when_it_is_finished,
    a_value_beside_which_one_was_put_goes_when_it_is_finished,
    a_value_beside_which_a_newer_one_was_put_goes_when_it_is_finished,
    a_version_that_is_refused_beside_a_pending_write_keeps_older_ones_out,
    finishing_an_earlier_write_leaves_the_dispute,
    a_write_without_a_value_leaves_the_dispute,
    a_later_value_ends_the_dispute,
    an_invalidation_before_the_append_disputes_nothing,
];

impl LogBench {
    /// Has the pending value cached again, as by a reader, and finishes its write.
    async fn goes_when_finished(&self, owner: Token, sequences: &[u64]) {
        self.shown("pending").await;
        assert!(self.finish(owner, sequences).await);
        assert_eq!(self.get().await, None, "it may be from before the change");
        let lease = self.granted().await;
        assert!(self.fill(lease, "loaded").await);
    }

    /// Readers see the value, and leave it in the cache.
    async fn shown(&self, pending: &str) {
        match self.lease().await.1 {
            Lease::Hit(stored) => assert_eq!(text(&stored), pending),
            other => panic!("{other:?}"),
        }
        assert_eq!(self.get().await.as_deref(), Some(pending));
    }

    /// Lets a write's time run out.
    async fn lose(&self, write: Token) {
        let renewed = self.backend.renew_write(&self.key, write, SHORT).await;
        assert!(renewed.expect("renew_write"));
        let began = Instant::now();
        while self.get().await.is_none() {
            assert!(began.elapsed() < DEADLINE, "the intent does not expire");
            tokio::time::sleep(SHORT / 10).await;
            self.lease().await;
        }
    }
}

async fn an_invalidated_value_goes_when_it_is_finished(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("pending")).await;
    b.invalidate().await;
    b.goes_when_finished(owner, &[one]).await;
}

async fn a_cleared_value_goes_when_it_is_finished(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("pending")).await;
    b.backend.clear().await.expect("clear");
    b.goes_when_finished(owner, &[one]).await;
}

async fn a_value_beside_which_a_write_ended_goes_when_it_is_finished(b: LogBench) {
    let owner = b.owner().await;
    let write = b.begin().await;
    let one = b.logged(b.valued("pending")).await;
    assert_eq!(b.end(write, Some("later")).await, WriteEnd::Overlapped);
    b.goes_when_finished(owner, &[one]).await;
    let two = b.logged(b.valued("pending")).await;
    let nobody = Token::fresh();
    assert_eq!(b.end(nobody, Some("later")).await, WriteEnd::Overlapped);
    b.goes_when_finished(owner, &[two]).await;
}

async fn a_value_beside_which_a_write_was_lost_goes_when_it_is_finished(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("pending")).await;
    let write = b.begin().await;
    b.lose(write).await;
    b.goes_when_finished(owner, &[one]).await;
}

async fn a_value_that_was_appended_beside_a_lost_write_goes_when_it_is_finished(b: LogBench) {
    let owner = b.owner().await;
    let write = b.begin().await;
    let one = b.logged(b.valued("pending")).await;
    b.lose(write).await;
    b.goes_when_finished(owner, &[one]).await;
}

async fn a_value_beside_which_one_was_put_goes_when_it_is_finished(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("pending")).await;
    assert!(!b.put("later").await);
    b.goes_when_finished(owner, &[one]).await;
}

async fn a_value_beside_which_a_newer_one_was_put_goes_when_it_is_finished(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("pending")).await;
    assert!(!b.newer(7, "later").await);
    b.goes_when_finished(owner, &[one]).await;
}

async fn a_version_that_is_refused_beside_a_pending_write_keeps_older_ones_out(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("pending")).await;
    assert!(!b.newer(7, "seven").await);
    assert!(!b.newer(5, "five").await);
    b.goes_when_finished(owner, &[one]).await;
    for version in [6, 7] {
        assert!(!b.newer(version, "older").await);
    }
    assert!(b.newer(8, "eight").await);
    assert_eq!(b.get().await.as_deref(), Some("eight"));
}

async fn finishing_an_earlier_write_leaves_the_dispute(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("earlier")).await;
    let two = b.logged(b.valued("pending")).await;
    b.invalidate().await;
    assert!(b.finish(owner, &[one]).await);
    b.goes_when_finished(owner, &[two]).await;
}

async fn a_write_without_a_value_leaves_the_dispute(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("pending")).await;
    b.invalidate().await;
    b.logged(b.write("later")).await;
    b.goes_when_finished(owner, &[one]).await;
}

async fn a_later_value_ends_the_dispute(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.valued("one")).await;
    b.invalidate().await;
    let two = b.logged(b.valued("two")).await;
    assert!(b.finish(owner, &[one]).await);
    b.shown("two").await;
    assert!(b.finish(owner, &[two]).await);
    assert_eq!(b.get().await.as_deref(), Some("two"));
}

async fn an_invalidation_before_the_append_disputes_nothing(b: LogBench) {
    let owner = b.owner().await;
    b.granted().await;
    b.invalidate().await;
    let write = b.begin().await;
    b.end(write, None).await;
    let one = b.logged(b.valued("one")).await;
    assert!(b.finish(owner, &[one]).await);
    assert_eq!(b.get().await.as_deref(), Some("one"));
}
