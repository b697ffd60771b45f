//! How full the log is.

use std::time::{Duration, Instant};

use super::super::{DEADLINE, SHORT};
use super::{LogBench, log_suite};
use crate::backend::log::{Append, LogSize};

log_suite![
    an_empty_log_has_no_size,
    the_size_counts_the_pending_writes_of_each_function,
    the_size_counts_dead_letters,
    the_lag_is_the_age_of_the_oldest_write,
];

impl LogBench {
    async fn size(&self) -> LogSize {
        let mut size = self.log().size().await.expect("size");
        size.pending.sort();
        size
    }
}

async fn an_empty_log_has_no_size(b: LogBench) {
    assert_eq!(b.size().await, LogSize::default());
    let owner = b.owner().await;
    let write = b.logged(b.write("one")).await;
    assert!(b.finish(owner, &[write]).await);
    assert_eq!(b.size().await, LogSize::default(), "again");
}

async fn the_size_counts_the_pending_writes_of_each_function(b: LogBench) {
    let owner = b.owner().await;
    let other = b.at(&b.key_in((b.partition() + 1) % 16, 0));
    let another = format!("{}_another", b.function());
    let one = b.logged(b.write("one")).await;
    other.logged(other.write("two")).await;
    let three = b.logged(b.write("three")).await;
    let write = Append {
        function: another.clone(),
        ..b.write("another")
    };
    b.logged(write).await;
    let counts = |of: u64| vec![(b.function(), of), (another.clone(), 1)];
    assert_eq!(b.size().await.pending, counts(3));
    assert!(b.finish(owner, &[one]).await);
    assert_eq!(b.size().await.pending, counts(2));
    assert!(b.bury(owner, &[three]).await);
    assert_eq!(b.size().await.pending, counts(1));
}

async fn the_size_counts_dead_letters(b: LogBench) {
    let owner = b.owner().await;
    let (one, two, three) = (
        b.logged(b.write("one")).await,
        b.logged(b.write("two")).await,
        b.logged(b.write("three")).await,
    );
    assert!(b.bury(owner, &[one, two]).await);
    assert!(b.bury(owner, &[three]).await);
    let size = b.size().await;
    assert_eq!(size.letters, 2);
    assert_eq!((size.pending, size.lag), (Vec::new(), None));
    assert!(b.log().discard(two).await.expect("discard"));
    assert_eq!(b.size().await.letters, 1);
}

async fn the_lag_is_the_age_of_the_oldest_write(b: LogBench) {
    let owner = b.owner().await;
    let other = b.at(&b.key_in((b.partition() + 1) % 16, 0));
    let old = b.logged(b.write("old")).await;
    let began = Instant::now();
    while b.size().await.lag.expect("one is pending") < SHORT * 5 {
        assert!(began.elapsed() < DEADLINE, "the lag does not grow");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let before = Instant::now();
    other.logged(other.write("young")).await;
    assert!(b.size().await.lag.expect("two are pending") >= SHORT * 5);
    assert!(b.finish(owner, &[old]).await);
    let lag = b.size().await.lag.expect("one is pending");
    assert!(
        lag < SHORT * 5 + before.elapsed(),
        "{lag:?} is the age of the one that is done"
    );
}
