//! What one call may spend on a backend that does not answer.

use std::future::Future;
use std::time::Duration;

// tokio's clock, as its timers: a test that pauses one pauses both.
use tokio::time::Instant;

/// The time that one call has for operations that make it wait. It runs from the first of them, so that a call which needs
/// several does not wait for each as long as for one.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: Duration,
    deadline: Option<Instant>,
}

impl Budget {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            deadline: None,
        }
    }

    /// Waits for as long as is left. `None` if that was not enough, or if there is no runtime to wait on, as in the drop of a
    /// future that outlived its own.
    pub(crate) async fn within<F: Future>(&mut self, work: F) -> Option<F::Output> {
        tokio::runtime::Handle::try_current().ok()?;
        let limit = self.limit;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + limit);
        tokio::time::timeout_at(deadline, work).await.ok()
    }
}
