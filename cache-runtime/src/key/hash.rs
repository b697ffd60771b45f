//! The hash of a key that every process and every version agrees on.

use super::Key;
use crate::entry::checksum::step;

/// What a key's hash is for. Two purposes divide the keys independently of each other: the keys that one picks are not more often those that
/// another picks.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// Which keys' accesses are recorded.
    Sampling = 0x7361_6d70_6c69_6e67,
    /// Which keys a roll-out has moved.
    Routing = 0x0072_6f75_7469_6e67,
}

impl Key {
    /// The same in every process and version.
    pub(crate) fn stable_hash(&self, purpose: Purpose) -> u64 {
        let (words, rest) = self.as_bytes().as_chunks::<8>();
        let mut hash = step(purpose as u64, self.as_bytes().len() as u64);
        for word in words {
            hash = step(hash, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = step(hash, u64::from_le_bytes(last));
        // One step moves a bit up, or down by half; the last words need two more to reach all others.
        step(step(hash, purpose as u64), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other processes, and logs of earlier versions, rest on it.
    #[test]
    fn never_changes() {
        let hash = |text: &str| Key::from(text).stable_hash(Purpose::Sampling);
        assert_eq!(
            [
                hash(""),
                hash("user:1"),
                hash("a key of more than eight bytes")
            ],
            [
                2_097_589_237_476_948_912,
                3_161_498_226_361_860_396,
                16_171_499_612_951_928_244
            ]
        );
    }

    #[test]
    fn picks_keys_alike() {
        for part in 0..10 {
            let picked = (0..10_000)
                .map(|n| Key::from(format!("user:{n}")).stable_hash(Purpose::Sampling))
                .filter(|hash| hash % 10 == part)
                .count();
            assert!(
                (900..1100).contains(&picked),
                "{picked} of 10,000 in part {part}"
            );
        }
    }
}
