//! Timers. There is no time here: a timer may be over at any moment, and is over at some moment.
//!
//! That is more than a clock does, and so includes all that a clock does: a machine that stands still between two instructions lets
//! any timer run out between them. A test in which nothing may rest on a timer [stops](stop) them.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};

pub(crate) use tokio::time::Instant;

shuttle::lazy_static! {
    /// Of this execution.
    static ref STOPPED: AtomicBool = AtomicBool::new(false);
}

/// From now on, and until the execution ends, no timer runs out.
pub(crate) fn stop() {
    STOPPED.store(true, Ordering::Relaxed);
}

fn stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// [`tokio::time::sleep`]. The scheduler says for how long, by when it goes on with this task.
pub(crate) async fn sleep(_: Duration) {
    shuttle::future::yield_now().await;
    if stopped() {
        pending::<()>().await;
    }
}

/// The time was over first.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Of so many times that the work has to wait, and others have run meanwhile, the timer is over at one.
const PATIENCE: u32 = 8;

/// [`tokio::time::timeout`].
pub(crate) async fn timeout<F: Future>(_: Duration, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    loop {
        if stopped() {
            return Ok(work.await);
        }
        let polled = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Ok(output);
        }
        if thread_rng().gen_ratio(1, PATIENCE) {
            return Err(Elapsed);
        }
        shuttle::future::yield_now().await;
    }
}

/// [`tokio::time::timeout_at`].
pub(crate) async fn timeout_at<F: Future>(_: Instant, work: F) -> Result<F::Output, Elapsed> {
    timeout(Duration::ZERO, work).await
}
