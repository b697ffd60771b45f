//! Changes of valid bytes that a reader may fall for: flipped bits, cuts, pieces of other bytes, and numbers that claim much.

use fastrand::Rng;

/// Numbers at which lengths and counts go wrong, from the smallest type on.
const TELLING: [u64; 18] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xfa,
    0xfb,
    0xfc,
    0xfd,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    1 << 17,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    u64::MAX,
];

/// No case gets longer: what is wrong with a reader shows in short ones.
const LONGEST: usize = 4096;

/// Changes the bytes in one to four places, with pieces of `others` among the changes.
pub fn mutate<B: AsRef<[u8]>>(bytes: &mut Vec<u8>, others: &[B], random: &mut Rng) {
    for _ in 0..random.usize(1..=4) {
        change(bytes, others, random);
    }
    bytes.truncate(LONGEST);
}

fn change<B: AsRef<[u8]>>(bytes: &mut Vec<u8>, others: &[B], random: &mut Rng) {
    let at = random.usize(..=bytes.len());
    // Headers and lengths are at the beginning: half of the changes are there.
    let at = if random.bool() {
        at.min(random.usize(..80))
    } else {
        at
    };
    let place = range_at(bytes.len(), at, random);
    match random.u8(..12) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.u8(..8);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = TELLING[random.usize(..10)] as u8;
            }
        }
        3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.u8(..);
            }
        }
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(place)),
        6 => {
            let more: Vec<u8> = (0..random.usize(1..20)).map(|_| random.u8(..)).collect();
            bytes.splice(at..at, more);
        }
        7 => {
            let twice = bytes[place].to_vec();
            bytes.splice(at..at, twice);
        }
        8 => {
            if let Some(other) = random.choice(others) {
                let other = other.as_ref();
                let from = random.usize(..=other.len());
                let piece = &other[range_at(other.len(), from, random)];
                bytes.splice(place, piece.iter().copied());
            }
        }
        // The tail of another: the middle of one entry goes on as the end of another.
        9 => {
            if let Some(other) = random.choice(others) {
                bytes.truncate(at);
                bytes.extend(other.as_ref().iter().skip(at));
            }
        }
        _ => write_number(bytes, at, random),
    }
}

/// Overwrites what is there by a number of some width and order, or near to the number that is there.
fn write_number(bytes: &mut [u8], at: usize, random: &mut Rng) {
    let width = [1, 2, 4, 8][random.usize(..4)];
    let Some(place) = bytes.get_mut(at..at + width) else {
        return;
    };
    let mut word = [0; 8];
    word[..width].copy_from_slice(place);
    let number = if random.bool() {
        TELLING[random.usize(..TELLING.len())]
    } else {
        u64::from_le_bytes(word)
            .wrapping_add(random.u64(..5))
            .wrapping_sub(2)
    };
    word = number.to_le_bytes();
    place.copy_from_slice(&word[..width]);
    if random.u8(..4) == 0 {
        place.reverse();
    }
}

fn range_at(length: usize, at: usize, random: &mut Rng) -> std::ops::Range<usize> {
    at..(at + random.usize(..32)).min(length).max(at)
}

/// A few bytes over and over: what costs little once costs much a hundred times.
pub(super) fn pattern(most: usize, random: &mut Rng) -> Vec<u8> {
    let count = random.usize(1..6);
    let bytes: Vec<u8> = (0..count)
        .map(|_| match random.bool() {
            true => TELLING[random.usize(..10)] as u8,
            false => random.u8(..),
        })
        .collect();
    let length = random.usize(..=most);
    bytes.into_iter().cycle().take(length).collect()
}

/// Bytes without any order.
pub(super) fn noise(most: usize, random: &mut Rng) -> Vec<u8> {
    (0..random.usize(..=most)).map(|_| random.u8(..)).collect()
}
