//! Which keys are the new backend's, as far as this process knows.

use std::sync::atomic::{AtomicU64, Ordering};

use super::permit::Permit;
use crate::key::Key;
use crate::key::hash::Purpose;

/// Keys have a place between 0 and this, by their hash. It is the same for all processes.
const PLACES: u64 = 1 << 32;

/// The permit as it was last seen. That it still stands is checked by each operation that relies on it, so nothing here has to be exact.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The permit's number; 0 for none.
    permit: AtomicU64,
    /// The keys with a place below are the new backend's.
    below: AtomicU64,
    /// The share as it was given, in its bits.
    share: AtomicU64,
    /// The permit that this process has ended. An answer that was on its way may show it still.
    ended: AtomicU64,
}

impl Route {
    /// Takes note of the permit, or that there is none.
    pub(super) fn learn(&self, permit: Option<Permit>) {
        let Some(Permit { number, share }) = permit else {
            return self.close();
        };
        if self.ended.load(Ordering::Acquire) == number {
            return;
        }
        // Read first: every operation comes here, and a store would pull the cache line from the other cores.
        if self.permit.load(Ordering::Relaxed) == number && self.share() == share {
            return;
        }
        self.share.store(share.to_bits(), Ordering::Relaxed);
        self.below
            .store((share * PLACES as f64) as u64, Ordering::Relaxed);
        self.permit.store(number, Ordering::Release);
    }

    /// All keys are the old backend's.
    fn close(&self) {
        if self.permit.swap(0, Ordering::AcqRel) != 0 {
            self.share.store(0, Ordering::Relaxed);
            self.below.store(0, Ordering::Relaxed);
        }
    }

    /// All keys are the old backend's until there is another permit. `false` if they were before.
    pub(super) fn end(&self) -> bool {
        let permit = self.permit.load(Ordering::Acquire);
        if permit != 0 {
            self.ended.store(permit, Ordering::Release);
        }
        self.close();
        permit != 0
    }

    /// Whether this process has ended it, and does not take it up again.
    pub(super) fn has_ended(&self, permit: Permit) -> bool {
        self.ended.load(Ordering::Acquire) == permit.number
    }

    /// The number of the permit, if there is one.
    pub(super) fn permit(&self) -> Option<u64> {
        Some(self.permit.load(Ordering::Acquire)).filter(|number| *number != 0)
    }

    pub(super) fn share(&self) -> f64 {
        f64::from_bits(self.share.load(Ordering::Relaxed))
    }

    /// The number of the permit that the key is the new backend's by; `None` if it is the old one's.
    #[inline]
    pub(super) fn of(&self, key: &Key) -> Option<u64> {
        let permit = self.permit()?;
        let below = self.below.load(Ordering::Relaxed);
        (below > 0 && key.stable_hash(Purpose::Routing) >> 32 < below).then_some(permit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(share: f64) -> Vec<u32> {
        let route = Route::default();
        route.learn(Some(Permit::new(share)));
        let is_moved = |n: &u32| route.of(&Key::from(format!("user:{n}"))).is_some();
        (0..10_000).filter(is_moved).collect()
    }

    #[test]
    fn a_share_is_that_part_of_the_keys_and_grows_by_adding_to_it() {
        assert!(moved(0.0).is_empty());
        assert_eq!(moved(1.0).len(), 10_000);
        let (some, more) = (moved(0.05), moved(0.25));
        assert!((400..600).contains(&some.len()), "{}", some.len());
        assert!((2_300..2_700).contains(&more.len()), "{}", more.len());
        assert!(some.iter().all(|key| more.contains(key)));
    }

    #[test]
    fn what_was_ended_here_does_not_come_back() {
        let route = Route::default();
        let permit = Permit::new(1.0);
        route.learn(Some(permit));
        assert!(route.end());
        route.learn(Some(permit));
        assert_eq!(route.permit(), None);
        route.learn(Some(Permit::new(0.5)));
        assert_eq!(route.share(), 0.5);
    }

    #[test]
    fn without_a_permit_every_key_is_the_old_backends() {
        let route = Route::default();
        route.learn(Some(Permit::new(1.0)));
        route.learn(None);
        assert_eq!((route.of(&Key::from("user:1")), route.share()), (None, 0.0));
    }
}
