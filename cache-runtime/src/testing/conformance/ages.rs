//! Values of some age: how old they are, how long they are kept, and who may replace them.

use std::time::{Duration, Instant};

use super::{Bench, DEADLINE, LONG, SHORT, suite, text};
use crate::backend::{Lease, LeaseMode, Life, Mark, Stored};

suite![
    a_value_comes_with_its_age,
    the_age_of_a_value_grows,
    a_value_that_is_stored_again_is_new,
    a_lease_that_answers_with_a_value_tells_its_age,
    a_value_is_kept_beyond_its_ttl,
    a_marked_value_may_be_replaced_and_stays_readable_meanwhile,
    another_value_than_the_marked_one_is_a_hit,
    a_lease_for_a_marked_value_that_is_gone_is_granted,
    a_marked_value_has_one_lease,
];

/// A backend's clock may go in steps of this.
const TICK: Duration = Duration::from_millis(15);

pub(super) fn age(stored: &Stored) -> Duration {
    match stored {
        Stored::Typed(typed) => typed.life.age(),
        Stored::Encoded(entry) => entry.age,
    }
}

impl Bench {
    pub(super) async fn stored(&self) -> Stored {
        let found = self.backend.get(&self.key).await.expect("get");
        found.expect("a value was stored")
    }

    /// The mark of the value that is there.
    pub(super) async fn mark(&self) -> Mark {
        self.stored().await.mark()
    }

    /// Returns when the value says that it is at least so old.
    pub(super) async fn aged(&self, least: Duration) {
        let began = Instant::now();
        while age(&self.stored().await) < least {
            assert!(began.elapsed() < DEADLINE, "the value does not age");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Returns when a marked value can be told from the next one: a backend stamps whole milliseconds.
    async fn old(&self) -> Mark {
        self.put("old").await;
        self.aged(SHORT / 4).await;
        self.mark().await
    }
}

async fn a_value_comes_with_its_age(b: Bench) {
    let before = Instant::now();
    b.put("one").await;
    let stored = Instant::now();
    while stored.elapsed() < SHORT {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let least = stored.elapsed().saturating_sub(TICK);
    let age = age(&b.stored().await);
    assert!(age >= least, "{age:?}, although stored {least:?} ago");
    let most = before.elapsed() + DEADLINE;
    assert!(age <= most, "{age:?}, although stored {most:?} ago");
}

async fn the_age_of_a_value_grows(b: Bench) {
    b.put("one").await;
    let first = age(&b.stored().await);
    b.aged(first + SHORT).await;
}

async fn a_value_that_is_stored_again_is_new(b: Bench) {
    let old = SHORT * 5;
    b.put("one").await;
    b.aged(old).await;
    let before = Instant::now();
    let token = b.lease_mode(LONG, LeaseMode::Refresh).await.0;
    assert!(b.fill(token, "two").await);
    let again = age(&b.stored().await);
    // What it may be too much by is less than what the first one had and this one has not.
    assert!(
        again < old + before.elapsed(),
        "{again:?} is the age of the value before"
    );
}

async fn a_lease_that_answers_with_a_value_tells_its_age(b: Bench) {
    b.put("one").await;
    let began = Instant::now();
    // Its own word counts: what `get` says may be ahead of it, by as much as an answer takes.
    loop {
        match b.lease().await.1 {
            Lease::Hit(stored) if age(&stored) >= SHORT => return,
            Lease::Hit(_) => assert!(began.elapsed() < DEADLINE, "the value does not age"),
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn a_value_is_kept_beyond_its_ttl(b: Bench) {
    let value = match b.value("one") {
        Stored::Typed(mut typed) => {
            typed.life = Life::new(SHORT);
            Stored::Typed(typed)
        }
        // What the bytes say of their TTL is not for the backend to read.
        encoded @ Stored::Encoded(_) => encoded,
    };
    b.backend.put(&b.key, value, LONG).await.expect("put");
    b.aged(SHORT * 2).await;
    assert_eq!(b.get().await.as_deref(), Some("one"));
    if let Stored::Typed(typed) = b.stored().await {
        assert_eq!(typed.life.ttl(), SHORT);
    }
}

async fn a_marked_value_may_be_replaced_and_stays_readable_meanwhile(b: Bench) {
    let mark = b.old().await;
    let (token, lease) = b.lease_mode(LONG, LeaseMode::IfStill(mark)).await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    assert_eq!(b.get().await.as_deref(), Some("old"));
    assert!(b.fill(token, "new").await);
    assert_eq!(b.get().await.as_deref(), Some("new"));
}

async fn another_value_than_the_marked_one_is_a_hit(b: Bench) {
    let mark = b.old().await;
    b.put("new").await;
    match b.lease_mode(LONG, LeaseMode::IfStill(mark)).await.1 {
        Lease::Hit(stored) => assert_eq!(text(&stored), "new"),
        other => panic!("{other:?}"),
    }
}

async fn a_lease_for_a_marked_value_that_is_gone_is_granted(b: Bench) {
    let mark = b.old().await;
    b.invalidate().await;
    let (token, lease) = b.lease_mode(LONG, LeaseMode::IfStill(mark)).await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    assert!(b.fill(token, "new").await);
}

async fn a_marked_value_has_one_lease(b: Bench) {
    let mode = LeaseMode::IfStill(b.old().await);
    let holder = b.lease_mode(LONG, mode).await.0;
    let (_, second) = b.lease_mode(LONG, mode).await;
    assert!(
        matches!(second, Lease::Busy(token, _) if token == holder),
        "{second:?}"
    );
}
