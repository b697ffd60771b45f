//! The sum that tells a damaged entry from a sound one. Not a defence against forgery.

/// Odd, with its bits well spread: the 64-bit golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// One-to-one in each of its two arguments while the other is kept, so one changed word always changes the sum.
#[inline]
pub(crate) const fn step(state: u64, word: u64) -> u64 {
    let mixed = (state ^ word).wrapping_mul(MULTIPLIER);
    mixed ^ (mixed >> 32)
}

/// The sum of the bytes. Any change within eight aligned bytes is sure to be seen, any other but for one in 2^64.
pub(crate) fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    let mut sum = step(seed, bytes.len() as u64);
    let (blocks, mut rest) = bytes.as_chunks::<32>();
    if !blocks.is_empty() {
        // Four sums side by side: a multiplication waits for the one before it in its own sum only.
        let mut lanes = [1, 2, 3, 4];
        for block in blocks {
            for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
                *lane = step(*lane, u64::from_le_bytes(*word));
            }
        }
        sum = lanes.into_iter().fold(sum, step);
    }
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        sum = step(sum, u64::from_le_bytes(*word));
        rest = after;
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        sum = step(sum, u64::from_le_bytes(word));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_in_every_build() {
        assert_eq!(checksum(0, b""), checksum(0, &[]));
        assert_eq!(
            checksum(7, b"the quick brown fox jumps over the lazy dog"),
            12_787_307_484_560_376_783
        );
    }

    #[test]
    fn sees_every_changed_bit_and_every_length() {
        let bytes: Vec<u8> = (0..101).collect();
        let mut sums = std::collections::HashSet::new();
        for len in 0..=bytes.len() {
            assert!(sums.insert(checksum(0, &bytes[..len])));
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(sums.insert(checksum(0, &changed)), "byte {at}, bit {bit}");
            }
        }
        assert!(sums.insert(checksum(1, &bytes)));
        assert!(sums.insert(checksum(0, &[0; 3])));
        assert!(sums.insert(checksum(0, &[0; 4])));
    }
}
