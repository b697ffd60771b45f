//! The file of the hottest keys.
//!
//! ```text
//! magic 8 │ version 1 │ 3 × 0 │ keys 4 │ then for each: length 4 │ bytes │ accesses 8 (f64) │ at the end: checksum 8
//! ```
//!
//! All numbers little-endian.

use super::super::file::FileProblem;
use super::{HotKey, LONGEST_KEY};
use crate::entry::checksum::checksum;
use crate::key::Key;

const MAGIC: &[u8; 8] = b"cr-hot\r\n";
const VERSION: u8 = 1;
const HEADER: usize = 16;
const SUM: usize = 8;
const SEED: u64 = 0x686f_745f_6b65_7973;

/// The most bytes that a file can have: the coldest of a million very long keys are left out.
pub(crate) const LARGEST: u64 = 256 << 20;

pub(crate) fn write(keys: &[HotKey]) -> Vec<u8> {
    let mut room = LARGEST as usize - HEADER - SUM;
    let fits = keys.iter().take_while(|hot| {
        let needed = 4 + hot.key.as_bytes().len() + 8;
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    });
    let keys = &keys[..fits.count()];
    let mut bytes = Vec::with_capacity(HEADER + SUM + keys.len() * 40);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
    // As many as are followed at most, and none longer than is followed.
    bytes.extend_from_slice(&(keys.len() as u32).to_le_bytes());
    for HotKey { key, accesses } in keys {
        bytes.extend_from_slice(&(key.as_bytes().len() as u32).to_le_bytes());
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(&accesses.to_bits().to_le_bytes());
    }
    let sum = checksum(SEED, &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<HotKey>, FileProblem> {
    let foreign = |problem: &'static str| Err(FileProblem::Foreign(problem.into()));
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
        return if MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]) {
            Err(damaged(bytes.len(), "it ends within its header"))
        } else {
            foreign("is not a file of hot keys")
        };
    };
    if !header.starts_with(MAGIC) {
        return foreign("is not a file of hot keys");
    }
    if header[8] != VERSION {
        let problem = format!("is of version {}, and only {VERSION} is known", header[8]);
        return Err(FileProblem::Foreign(problem.into()));
    }
    let end = bytes.len() - SUM.min(bytes.len() - HEADER);
    let sum = checksum(SEED, &bytes[..end]);
    if bytes[end..] != sum.to_le_bytes() {
        return Err(damaged(end, "the checksum says that it was changed or cut"));
    }
    let mut count = [0; 4];
    count.copy_from_slice(&header[12..]);
    let count = u32::from_le_bytes(count) as usize;
    let mut reader = Reader {
        bytes,
        at: HEADER,
        end,
    };
    // Bounded by what is there, not by what the header says.
    let mut keys = Vec::with_capacity(count.min(bytes.len() / 12));
    while reader.at < end {
        keys.push(reader.key()?);
    }
    if keys.len() != count {
        return Err(damaged(12, "another number of keys follows"));
    }
    Ok(keys)
}

/// Makes the checksum right again after a change.
#[cfg(feature = "testing")]
pub(crate) fn seal(bytes: &mut [u8]) {
    if let Some(at) = bytes.len().checked_sub(SUM).filter(|at| *at >= HEADER) {
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = VERSION;
        let sum = checksum(SEED, &bytes[..at]);
        bytes[at..].copy_from_slice(&sum.to_le_bytes());
    }
}

fn damaged(offset: usize, problem: &'static str) -> FileProblem {
    FileProblem::Damaged {
        offset: offset as u64,
        problem: problem.into(),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], FileProblem> {
        let from = self.at;
        match from.checked_add(count).filter(|&to| to <= self.end) {
            Some(to) => {
                self.at = to;
                Ok(&self.bytes[from..to])
            }
            None => Err(damaged(from, "more is announced than follows")),
        }
    }

    fn key(&mut self) -> Result<HotKey, FileProblem> {
        let from = self.at;
        let mut length = [0; 4];
        length.copy_from_slice(self.take(4)?);
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST_KEY {
            return Err(damaged(from, "a key is longer than any that is followed"));
        }
        let text = std::str::from_utf8(self.take(length)?);
        let text = text.map_err(|_| damaged(from + 4, "a key is not UTF-8"))?;
        let mut accesses = [0; 8];
        accesses.copy_from_slice(self.take(8)?);
        let accesses = f64::from_bits(u64::from_le_bytes(accesses));
        if !(accesses.is_finite() && accesses >= 0.0) {
            return Err(damaged(from + 4 + length, "a count is no count"));
        }
        Ok(HotKey {
            key: Key::from(text),
            accesses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<HotKey> {
        let key = |text: &str, accesses| HotKey {
            key: Key::from(text),
            accesses,
        };
        vec![key("user:1", 17.0), key("caf\u{e9}", 0.5), key("", 0.0)]
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&write(&keys())).expect("sound"), keys());
        assert_eq!(read(&write(&[])).expect("sound"), []);
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_an_error() {
        let sound = write(&keys());
        for at in 0..sound.len() {
            for bit in 0..8 {
                let mut changed = sound.clone();
                changed[at] ^= 1 << bit;
                assert!(read(&changed).is_err(), "byte {at}, bit {bit}");
            }
            assert!(read(&sound[..at]).is_err(), "cut to {at}");
        }
    }

    /// With a sum that is right, as of a program that writes something else.
    #[test]
    fn what_is_announced_is_not_believed() {
        let mut bytes = write(&keys());
        bytes.truncate(bytes.len() - SUM);
        let with_sum = |mut bytes: Vec<u8>| {
            let sum = checksum(SEED, &bytes);
            bytes.extend_from_slice(&sum.to_le_bytes());
            read(&bytes)
        };
        for (at, value) in [(12, 0xff), (16, 0x77), (17, 0xff), (20, 0xff)] {
            let mut changed = bytes.clone();
            changed[at] = value;
            assert!(with_sum(changed).is_err(), "byte {at}");
        }
        assert!(with_sum(bytes).is_ok());
    }
}
