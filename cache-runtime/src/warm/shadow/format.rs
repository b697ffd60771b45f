//! The bytes of an access log.
//!
//! ```text
//! segment:  magic 8 │ version 1 │ 3 × 0 │ one key in 4 │ begun, µs since 1970 8 │ checksum 8 │ records
//! record:   length 2 │ its complement 2 │ µs since the segment began 8 │ key │ checksum 4
//! ```
//!
//! All numbers little-endian. A record's checksum covers its place in the segment too. So what is sound is also where it was written, and a reader that meets
//! damage can tell whether it is the end of the log, torn by a crash, or its middle.

use std::time::Duration;

use super::super::file::FileProblem;
use crate::entry::checksum::checksum;
use crate::key::Key;

const MAGIC: &[u8; 8] = b"cr-log\r\n";
const VERSION: u8 = 1;
pub(crate) const HEADER: usize = 32;
/// A record without its key.
const FRAME: usize = 16;
/// The most bytes of a record.
pub(crate) const LONGEST_RECORD: usize = FRAME + LONGEST_KEY;
const SEED: u64 = 0x7368_6164_6f77;

/// Longer keys are not recorded.
pub(crate) const LONGEST_KEY: usize = 1024;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The accesses of one key in so many are recorded.
    pub(crate) one_in: u32,
    /// When it was begun, in microseconds of the Unix epoch.
    pub(crate) begun: u64,
}

impl Header {
    pub(crate) fn write(self, bytes: &mut Vec<u8>) {
        let from = bytes.len();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
        bytes.extend_from_slice(&self.one_in.to_le_bytes());
        bytes.extend_from_slice(&self.begun.to_le_bytes());
        let sum = checksum(SEED, &bytes[from..]);
        bytes.extend_from_slice(&sum.to_le_bytes());
    }

    /// `None` for a segment that ends within its header.
    fn read(bytes: &[u8]) -> Result<Option<Self>, FileProblem> {
        let Some(header) = bytes.first_chunk::<HEADER>() else {
            let known = bytes.len().min(MAGIC.len());
            return if MAGIC.starts_with(&bytes[..known]) || is_zero(bytes) {
                Ok(None)
            } else {
                Err(foreign())
            };
        };
        if is_zero(bytes) {
            return Ok(None);
        }
        if !header.starts_with(MAGIC) {
            return Err(foreign());
        }
        if number::<8>(header, 24) != checksum(SEED, &header[..24]) {
            return Err(FileProblem::Damaged {
                offset: 0,
                problem: "the header was changed".into(),
            });
        }
        if header[8] != VERSION {
            let problem = format!("is of version {}, and only {VERSION} is known", header[8]);
            return Err(FileProblem::Foreign(problem.into()));
        }
        Ok(Some(Self {
            one_in: (number::<4>(header, 12) as u32).max(1),
            begun: number::<8>(header, 16),
        }))
    }
}

fn foreign() -> FileProblem {
    FileProblem::Foreign("is not an access log".into())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// A little-endian number of `N` bytes, which are there.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.iter().skip(at).take(N).rev();
    bytes.fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Appends a record to a segment, of which so many bytes are written already.
pub(crate) fn write_record(bytes: &mut Vec<u8>, place: usize, micros: u64, key: &Key) {
    let from = bytes.len();
    let length = key.as_bytes().len() as u16;
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&(!length).to_le_bytes());
    bytes.extend_from_slice(&micros.to_le_bytes());
    bytes.extend_from_slice(key.as_bytes());
    let sum = record_sum(place, &bytes[from..]);
    bytes.extend_from_slice(&sum.to_le_bytes());
}

fn record_sum(place: usize, bytes: &[u8]) -> u32 {
    checksum(SEED.wrapping_add(place as u64), bytes) as u32
}

/// Makes the checksums right again after a change, of the header and of each record up to the first that has no place.
#[cfg(feature = "testing")]
pub(crate) fn seal(bytes: &mut [u8]) {
    if let Some(header) = bytes.first_chunk_mut::<HEADER>() {
        header[..8].copy_from_slice(MAGIC);
        header[8] = VERSION;
        let sum = checksum(SEED, &header[..24]);
        header[24..].copy_from_slice(&sum.to_le_bytes());
    }
    let mut place = HEADER;
    while let Some(frame) = bytes.get(place..place + FRAME) {
        let length = number::<2>(frame, 0) as u16;
        let end = place + FRAME + usize::from(length);
        let Some(record) = bytes.get_mut(place..end) else {
            return;
        };
        record[2..4].copy_from_slice(&(!length).to_le_bytes());
        let (body, sum) = record.split_at_mut(FRAME + usize::from(length) - 4);
        sum.copy_from_slice(&record_sum(place, body).to_le_bytes());
        place = end;
    }
}

/// One access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Since the segment began.
    pub(crate) at: Duration,
    pub(crate) key: Key,
}

/// The record at this place, and the place after it. `None` if there is no sound one.
fn record_at(bytes: &[u8], place: usize) -> Option<(Record, usize)> {
    let rest = bytes.get(place..)?;
    let frame = rest.first_chunk::<FRAME>()?;
    let length = number::<2>(frame, 0) as u16;
    if number::<2>(frame, 2) as u16 != !length || usize::from(length) > LONGEST_KEY {
        return None;
    }
    let end = FRAME + usize::from(length);
    let record = rest.get(..end)?;
    let (body, sum) = record.split_at(end - 4);
    if number::<4>(sum, 0) as u32 != record_sum(place, body) {
        return None;
    }
    let key = std::str::from_utf8(&body[12..]).ok()?;
    let record = Record {
        at: Duration::from_micros(number::<8>(frame, 4)),
        key: Key::from(key),
    };
    Some((record, place + end))
}

/// A segment that has been looked through: up to its end every record is sound.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    bytes: Vec<u8>,
    pub(crate) header: Header,
    pub(crate) records: u64,
    /// Of the last record.
    pub(crate) last: Duration,
    place: usize,
    end: usize,
}

impl Segment {
    /// Looks the bytes through. Gives the segment, if there is one, and how many bytes at its end are torn.
    pub(crate) fn read(mut bytes: Vec<u8>) -> Result<(Option<Self>, u64), FileProblem> {
        let Some(header) = Header::read(&bytes)? else {
            return Ok((None, bytes.len() as u64));
        };
        let (mut place, mut records, mut last) = (HEADER, 0, Duration::ZERO);
        while let Some((record, next)) = record_at(&bytes, place) {
            (place, records, last) = (next, records + 1, record.at.max(last));
        }
        let sound_after = (place + 1..bytes.len()).any(|later| record_at(&bytes, later).is_some());
        if sound_after {
            return Err(FileProblem::Damaged {
                offset: place as u64,
                problem: "a record was changed; there are sound ones after it".into(),
            });
        }
        let torn = bytes.len() - place;
        bytes.truncate(place);
        let segment = Self {
            header,
            records,
            last,
            place: HEADER,
            end: place,
            bytes,
        };
        Ok((Some(segment), torn as u64))
    }
}

impl Iterator for Segment {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.place >= self.end {
            return None;
        }
        let (record, next) = record_at(&self.bytes, self.place)?;
        self.place = next;
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Header = Header {
        one_in: 8,
        begun: 1_700_000_000_000_000,
    };

    fn segment(keys: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        HEAD.write(&mut bytes);
        for (n, key) in keys.iter().enumerate() {
            let place = bytes.len();
            write_record(&mut bytes, place, n as u64 * 1000, &Key::from(*key));
        }
        bytes
    }

    fn keys(segment: Segment) -> Vec<String> {
        segment.map(|record| record.key.to_string()).collect()
    }

    const KEYS: [&str; 3] = ["user:1", "", "caf\u{e9}:with:a:longer:name"];

    #[test]
    fn what_is_written_is_read() {
        let (segment, torn) = Segment::read(segment(&KEYS)).expect("sound");
        let segment = segment.expect("whole");
        assert_eq!((segment.header, segment.records, torn), (HEAD, 3, 0));
        assert_eq!(segment.last, Duration::from_millis(2));
        assert_eq!(keys(segment), KEYS);
    }

    #[test]
    fn cut_anywhere_it_gives_what_was_whole_and_tells_what_was_not() {
        let whole = segment(&KEYS);
        let ends = [HEADER, HEADER + 22, HEADER + 38, whole.len()];
        for length in 0..=whole.len() {
            let (segment, torn) =
                Segment::read(whole[..length].to_vec()).expect("torn, not damaged");
            let sound = ends.iter().filter(|end| **end <= length).count();
            match segment {
                None => assert_eq!((sound, torn), (0, length as u64)),
                Some(segment) => {
                    assert_eq!(torn as usize, length - ends[sound - 1]);
                    assert_eq!(keys(segment), KEYS[..sound - 1]);
                }
            }
        }
    }

    #[test]
    fn a_last_record_of_zeros_or_of_anything_else_is_torn() {
        for tail in [
            &[0; 100][..],
            b"what was on the disk before, of any length it likes",
            &[0xff; 16],
        ] {
            let mut bytes = segment(&KEYS);
            bytes.extend_from_slice(tail);
            let (segment, torn) = Segment::read(bytes).expect("torn, not damaged");
            assert_eq!(torn, tail.len() as u64);
            assert_eq!(keys(segment.expect("a header")), KEYS);
        }
        assert!(matches!(Segment::read(vec![0; 500]), Ok((None, 500))));
    }

    #[test]
    fn a_changed_record_in_the_middle_is_an_error_with_its_place() {
        let sound = segment(&KEYS);
        for at in HEADER..HEADER + 38 {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x40;
            let place = if at < HEADER + 22 {
                HEADER
            } else {
                HEADER + 22
            };
            match Segment::read(bytes) {
                Err(FileProblem::Damaged { offset, .. }) => {
                    assert_eq!(offset, place as u64, "byte {at}");
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
        for at in 0..HEADER {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x40;
            assert!(Segment::read(bytes).is_err(), "byte {at} of the header");
        }
    }

    /// As of a block of an older log that was never written anew.
    #[test]
    fn a_sound_record_in_another_place_is_none() {
        let mut bytes = segment(&KEYS);
        let first = bytes[HEADER..HEADER + 22].to_vec();
        bytes.extend_from_slice(&first);
        let (segment, torn) = Segment::read(bytes).expect("torn, not damaged");
        assert_eq!((segment.expect("a header").records, torn), (3, 22));
    }
}
