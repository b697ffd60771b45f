//! What one call may spend on a backend that does not answer.

use std::future::Future;
use std::time::Duration;

// tokio's clock, as its timers: a test that pauses one pauses both.
use tokio::time::Instant;

/// The time that one call has left for operations that make it wait.
#[derive(Debug)]
pub(crate) struct Budget(Duration);

impl Budget {
    pub(super) fn new(time: Duration) -> Self {
        Self(time)
    }

    /// Waits for as long as is left, and takes what was waited off. `None` if that was not enough.
    pub(crate) async fn within<F: Future>(&mut self, work: F) -> Option<F::Output> {
        let began = Instant::now();
        let output = tokio::time::timeout(self.0, work).await;
        self.0 = self.0.saturating_sub(began.elapsed());
        output.ok()
    }
}
