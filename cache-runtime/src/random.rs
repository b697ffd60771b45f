//! Chance: for the draws of `early`, for jitter and for backing off.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A source of random numbers. Each thread has its own, unless a test asks for a sequence that can be had again.
#[derive(Default)]
pub(crate) struct Random {
    seeded: Option<Mutex<fastrand::Rng>>,
}

impl Random {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self {
            seeded: Some(Mutex::new(fastrand::Rng::with_seed(seed))),
        }
    }

    /// A number from 0, included, to 1, excluded.
    #[inline]
    pub(crate) fn share(&self) -> f64 {
        match &self.seeded {
            None => fastrand::f64(),
            Some(sequence) => sequence
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .f64(),
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.seeded.is_some() {
            "Random(seeded)"
        } else {
            "Random"
        })
    }
}
