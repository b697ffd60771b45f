//! What one call may spend on a backend that does not answer.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

// The runtime's clock, as its timers: a test that pauses one pauses both.
use crate::sync::time::{self, Instant};

use crate::mutants::{self, Mutant};

thread_local! {
    /// Asking tokio whether there is a runtime counts a reference that all threads share; this is read on every remote call.
    static WITHOUT_TIMERS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `poll` where nothing can be waited for, because there is no runtime: in the drop of a future that outlived its own.
pub(crate) fn without_timers<T>(poll: impl FnOnce() -> T) -> T {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            WITHOUT_TIMERS.set(false);
        }
    }
    WITHOUT_TIMERS.set(true);
    let _back = Back;
    poll()
}

/// The time that one call has for operations that make it wait. It runs from the first of them, so that a call which needs
/// several does not wait for each as long as for one.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: Duration,
    deadline: Option<Instant>,
}

impl Budget {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            deadline: None,
        }
    }

    /// Waits for as long as is left. `None` if that was not enough, or if there is [nothing to wait on](without_timers).
    pub(crate) async fn within<F: Future>(&mut self, work: F) -> Option<F::Output> {
        if WITHOUT_TIMERS.get() {
            return None;
        }
        if mutants::on(Mutant::BudgetPerOperation) {
            self.deadline = None;
        }
        let limit = self.limit;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + limit);
        time::timeout_at(deadline, work).await.ok()
    }
}
