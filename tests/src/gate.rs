//! A gate in a loader: the test sees who waits at it, and decides when they go on.

use tokio::sync::watch;

/// Stands in a loader so that a test can act *while* a load is under way.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let gate = tests::Gate::new();
/// let load = tokio::spawn({
///     let gate = gate.clone();
///     async move {
///         gate.pass().await;
///         42
///     }
/// });
/// gate.arrived(1).await; // the load has begun, and cannot end
/// gate.open();
/// assert_eq!(load.await.unwrap(), 42);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gate {
    arrived: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self {
            arrived: watch::Sender::new(0),
            open: watch::Sender::new(false),
        }
    }

    /// Called by the loader: counts it as arrived and waits until the gate is open.
    pub async fn pass(&self) {
        let mut open = self.open.subscribe();
        self.arrived.send_modify(|count| *count += 1);
        // Errs only when every sender is gone, and `self` is one.
        let _ = open.wait_for(|open| *open).await;
    }

    /// Waits until `count` have arrived since the start, those who went through included.
    #[track_caller]
    pub fn arrived(&self, count: usize) -> impl Future<Output = ()> + use<> {
        let mut arrived = self.arrived.subscribe();
        crate::within(async move {
            let _ = arrived.wait_for(|now| *now >= count).await;
        })
    }

    /// How many have arrived since the start.
    pub fn count(&self) -> usize {
        *self.arrived.borrow()
    }

    /// Lets everybody through, those who come later too.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Holds those who come from now on.
    pub fn close(&self) {
        self.open.send_replace(false);
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
