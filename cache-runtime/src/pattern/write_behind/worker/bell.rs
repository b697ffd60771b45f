//! How calls of this process tell a partition's owner that there is something to do before its time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The bell of one partition.
#[derive(Debug, Default)]
pub(super) struct Bell {
    /// Writes of this process since the owner last looked.
    appended: AtomicU64,
    enough: AtomicBool,
    /// The owner has seen all that there was before.
    waited_for: AtomicBool,
    full: AtomicBool,
    retiring: AtomicBool,
    notify: Notify,
}

/// Why it was rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    None,
    /// So many writes were appended that a batch may be full.
    Enough,
    /// Somebody waits for room.
    Full,
}

impl Bell {
    /// A write was appended. The first since the owner looked rings, so that it knows of its time, and then a number of them that may be a batch.
    pub(super) fn appended(&self, batch: u32) {
        let appended = self.appended.fetch_add(1, Ordering::Relaxed) + 1;
        let is_first = self.waited_for.swap(false, Ordering::SeqCst);
        if is_first || appended.is_multiple_of(u64::from(batch.max(1))) {
            self.enough.store(true, Ordering::Relaxed);
            self.notify.notify_one();
        }
    }

    /// The owner is about to look.
    pub(super) fn is_waited_for(&self) {
        self.waited_for.store(true, Ordering::SeqCst);
    }

    pub(super) fn ring(&self) {
        self.notify.notify_one();
    }

    pub(super) fn full(&self) {
        self.full.store(true, Ordering::Relaxed);
        self.notify.notify_one();
    }

    /// Says whether the owner is to end its work and give the partition up.
    pub(super) fn retire(&self, retiring: bool) {
        self.retiring.store(retiring, Ordering::Relaxed);
        self.notify.notify_one();
    }

    pub(super) fn is_retiring(&self) -> bool {
        self.retiring.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self) -> News {
        let enough = self.enough.swap(false, Ordering::Relaxed);
        if enough {
            self.appended.store(0, Ordering::Relaxed);
        }
        if self.full.swap(false, Ordering::Relaxed) {
            News::Full
        } else if enough {
            News::Enough
        } else {
            News::None
        }
    }

    pub(super) fn rung(&self) -> Notified<'_> {
        self.notify.notified()
    }
}
