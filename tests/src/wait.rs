//! Waiting on a condition, with a deadline that only a failure reaches.

use std::future::Future;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::pin;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen: far longer than it takes, so that a busy machine does not fail it.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Asks `condition` until it holds, and fails the test at the caller's line when it does not within `deadline`.
#[track_caller]
pub fn eventually<C, F>(deadline: Duration, mut condition: C) -> impl Future<Output = ()>
where
    C: FnMut() -> F,
    F: Future<Output = bool>,
{
    let caller = Location::caller();
    async move {
        // std's clock: tokio's may be paused by the test.
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        while !condition().await {
            assert!(
                start.elapsed() < deadline,
                "{caller}: did not come true within {deadline:?}"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

/// The output of `future`, or a failed test at the caller's line when it takes longer than [`DEADLINE`]: it hangs.
#[track_caller]
pub fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{caller}: still waiting after {DEADLINE:?}"),
        }
    }
}

/// Does `then` as soon as `future` has come as far as it can without waiting: a call has looked into the cache, or sent its question.
pub async fn once_begun<F: Future>(future: F, then: impl FnOnce()) -> F::Output {
    let mut future = pin!(future);
    let mut then = Some(then);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if let Some(then) = then.take() {
            then();
        }
        polled
    })
    .await
}

/// Returns when every other task waits: for tests whose tokio clock is paused, as it only moves then.
pub async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
