//! What one call may spend on a backend that does not answer.

use std::time::Duration;

/// The time that one call has left for operations that make it wait.
#[derive(Debug)]
pub(crate) struct Budget(Duration);

impl Budget {
    pub(super) fn new(time: Duration) -> Self {
        Self(time)
    }

    pub(super) fn left(&self) -> Duration {
        self.0
    }

    pub(super) fn spend(&mut self, time: Duration) {
        self.0 = self.0.saturating_sub(time);
    }
}
