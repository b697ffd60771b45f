//! Delays.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Draws that several can share (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Debug)]
pub(super) struct Random(AtomicU64);

impl Random {
    pub(super) fn new(seed: u64, part: u64) -> Self {
        let mixed = mix(seed ^ mix(part.wrapping_add(1)));
        Self(AtomicU64::new(mixed))
    }

    pub(super) fn below(&self, bound: u64) -> u64 {
        mix(self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed)) % bound
    }

    pub(super) fn one_in(&self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// Lets others go first: mostly those that are ready, now and then also those that wait for a server.
    pub(super) async fn pause(&self) {
        match self.below(16) {
            0 => tokio::time::sleep(Duration::from_millis(1 + self.below(3))).await,
            turns => {
                for _ in 0..turns / 4 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

fn mix(mut mixed: u64) -> u64 {
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
