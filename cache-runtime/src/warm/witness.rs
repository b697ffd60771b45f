//! What becomes of one item of a warm-up: the task carries a witness, and the load path tells it what happens.
//!
//! The calls of an item are ordinary calls of annotated functions, of any type. Whether one of them loaded or found its value is
//! known to the path that it takes, so it is noted there, and not guessed from counters that other callers move too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// What the load path saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Sight {
    /// A cached function was called.
    Call = 1,
    /// A value was loaded, by this call or by another that it waited for.
    Load = 1 << 1,
    /// A load found that there is none.
    Absent = 1 << 2,
    /// A load failed.
    Failure = 1 << 3,
    /// The caller's `timeout` was over before the load was.
    Timeout = 1 << 4,
    /// What was loaded is not in the cache.
    NotStored = 1 << 5,
}

/// Carried by the task of an item, and by whatever the item starts that goes on after its call: loads past their `timeout`, and loads in
/// the background. The item has ended when the last of these is gone.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    item: Arc<Item>,
    /// Whether the task is inside of a load: what that calls in turn is its own affair.
    inside: bool,
}

#[derive(Debug)]
struct Item(Arc<Notes>);

#[derive(Debug, Default)]
struct Notes {
    seen: AtomicU8,
    ended: Notify,
}

impl Drop for Item {
    fn drop(&mut self) {
        self.0.ended.notify_one();
    }
}

/// Waits for the end of an item, and tells what was seen.
#[derive(Debug)]
pub(crate) struct Seen(Arc<Notes>);

impl Witness {
    pub(crate) fn new() -> (Self, Seen) {
        let notes = Arc::<Notes>::default();
        let witness = Self {
            item: Arc::new(Item(notes.clone())),
            inside: false,
        };
        (witness, Seen(notes))
    }

    /// For what is called from inside of a load.
    pub(crate) fn inside(&self) -> Self {
        Self {
            item: self.item.clone(),
            inside: true,
        }
    }

    pub(crate) fn saw(&self, sight: Sight) {
        if !self.inside {
            self.item.0.seen.fetch_or(sight as u8, Ordering::Relaxed);
        }
    }
}

impl Seen {
    /// Returns when nothing of the item is under way any more.
    pub(crate) async fn ended(&self) {
        self.0.ended.notified().await;
    }

    pub(crate) fn any(&self, sight: Sight) -> bool {
        self.0.seen.load(Ordering::Relaxed) & sight as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_item_ends_with_the_last_that_carries_it() {
        let (witness, seen) = Witness::new();
        let carried = witness.inside();
        drop(witness);
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, seen.ended())
                .await
                .is_err()
        );
        carried.saw(Sight::Load);
        drop(carried);
        seen.ended().await;
        assert!(
            !seen.any(Sight::Load),
            "what a load calls is its own affair"
        );
    }
}
