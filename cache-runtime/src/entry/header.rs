//! The fixed part of a remote entry, byte by byte.
//!
//! | bytes | what, little-endian |
//! | --- | --- |
//! | 0..3 | magic: `CRT` |
//! | 3 | format version |
//! | 4 | codec |
//! | 5 | flags; bit 0: there is no value, and no payload |
//! | 6..8 | number of tags |
//! | 8..16 | stamp: the backend's clock when it stored the entry, in ms; zero from us |
//! | 16..24 | checksum of all bytes but these and the stamp |
//! | 24..32 | schema fingerprint |
//! | 32..40 | soft expiry, in ms after the stamp; 0 for none |
//! | 40..48 | hard expiry, in ms after the stamp |
//! | 48..52 | load time, in microseconds |
//! | 52..56 | length of the payload |
//! | 56.. | a version of 8 bytes for each tag |
//! | then | the payload, to the end |

use std::ops::Range;
use std::time::Duration;

use super::checksum::checksum;
use crate::spec::CodecKind;

/// Where a backend writes the time of its own clock, in milliseconds, when it stores an entry.
pub(crate) const STAMP: Range<usize> = 8..16;

/// The length of the fixed part.
pub(super) const HEADER: usize = 56;

/// The largest entry: 64 MiB. Far beyond what a store answers within an operation's time budget, so that reaching it
/// means a mistake in the key or the type; and a bound on what one read can make this process hold.
pub(crate) const MAX_ENTRY: usize = 64 << 20;

const MAGIC: [u8; 3] = *b"CRT";
const VERSION: u8 = 1;
const ABSENT: u8 = 1;
const SUM: Range<usize> = 16..24;

/// Stamp and checksum: no other entry of the key has both.
pub(crate) const IDENTITY: Range<usize> = STAMP.start..SUM.end;

/// Why bytes are not an entry that can be used. Always a miss, never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mismatch {
    /// Shorter than a header.
    Truncated,
    /// Not an entry of this crate.
    Magic,
    /// Another version of the format.
    Version,
    /// A codec that this version does not know.
    Codec,
    /// A codec whose cargo feature is off in this build.
    CodecNotBuilt,
    /// A flag that this version does not know.
    Flags,
    /// Versions of tags, which this version could not check: the value may be invalidated.
    Tags,
    /// The lengths inside do not add up to the length of the bytes, or they are too many.
    Length,
    /// Another type, or another shape of it, or another `schema`.
    Fingerprint,
    /// The bytes were damaged.
    Checksum,
    /// The codec cannot read the payload as this type.
    Payload,
}

impl Mismatch {
    /// A name for counters.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Magic => "magic",
            Self::Version => "version",
            Self::Codec => "codec",
            Self::CodecNotBuilt => "codec_not_built",
            Self::Flags => "flags",
            Self::Tags => "tags",
            Self::Length => "length",
            Self::Fingerprint => "fingerprint",
            Self::Checksum => "checksum",
            Self::Payload => "payload",
        }
    }
}

/// The fields that the fixed part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// It says that there is no value.
    pub(super) absent: bool,
    pub(super) codec: CodecKind,
    pub(super) fingerprint: u64,
    pub(super) stamp: u64,
    pub(super) soft: Option<Duration>,
    pub(super) hard: Duration,
    pub(super) load_time: Duration,
}

impl Header {
    /// Fills in the fixed part of an entry whose payload is in place.
    pub(super) fn write(&self, entry: &mut [u8]) {
        let Some((head, payload)) = entry.split_first_chunk_mut::<HEADER>() else {
            return;
        };
        head[..3].copy_from_slice(&MAGIC);
        head[3] = VERSION;
        head[4] = codec_number(self.codec);
        head[5] = if self.absent { ABSENT } else { 0 };
        head[6..8].fill(0);
        head[STAMP].copy_from_slice(&self.stamp.to_le_bytes());
        head[24..32].copy_from_slice(&self.fingerprint.to_le_bytes());
        head[32..40].copy_from_slice(&self.soft.map_or(0, millis).to_le_bytes());
        head[40..48].copy_from_slice(&millis(self.hard).to_le_bytes());
        let load = u32::try_from(self.load_time.as_micros()).unwrap_or(u32::MAX);
        head[48..52].copy_from_slice(&load.to_le_bytes());
        // An entry is at most `MAX_ENTRY` long.
        head[52..56].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        let sum = sum_of(entry);
        entry[SUM].copy_from_slice(&sum.to_le_bytes());
    }

    /// Reads the fixed part and checks everything that can be known without the type; the rest is the payload.
    #[inline]
    pub(super) fn read(entry: &[u8], fingerprint: u64) -> Result<(Self, &[u8]), Mismatch> {
        let (head, payload) = entry
            .split_first_chunk::<HEADER>()
            .ok_or(Mismatch::Truncated)?;
        if head[..3] != MAGIC {
            return Err(Mismatch::Magic);
        }
        if head[3] != VERSION {
            return Err(Mismatch::Version);
        }
        let codec = codec_of(head[4]).ok_or(Mismatch::Codec)?;
        let absent = head[5] == ABSENT;
        if head[5] & !ABSENT != 0 {
            return Err(Mismatch::Flags);
        }
        // Nothing writes tags yet. An entry that has them must not be served by a version that cannot tell whether they still hold.
        if head[6..8] != [0, 0] {
            return Err(Mismatch::Tags);
        }
        if payload.len() != u32_at(head, 52) as usize
            || entry.len() > MAX_ENTRY
            || absent && !payload.is_empty()
        {
            return Err(Mismatch::Length);
        }
        if u64_at(head, 24) != fingerprint {
            return Err(Mismatch::Fingerprint);
        }
        if u64_at(head, SUM.start) != sum_of(entry) {
            return Err(Mismatch::Checksum);
        }
        let soft = u64_at(head, 32);
        let header = Self {
            absent,
            codec,
            fingerprint,
            stamp: u64_at(head, STAMP.start),
            soft: (soft != 0).then(|| Duration::from_millis(soft)),
            hard: Duration::from_millis(u64_at(head, 40)),
            load_time: Duration::from_micros(u32_at(head, 48).into()),
        };
        Ok((header, payload))
    }
}

/// The sum over everything but the stamp, which the backend overwrites, and the sum itself.
fn sum_of(entry: &[u8]) -> u64 {
    match entry.split_first_chunk::<HEADER>() {
        Some((head, _)) => checksum(u64_at(head, 0), &entry[SUM.end..]),
        None => 0,
    }
}

/// At least one: zero means "none".
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

#[inline]
fn u64_at(head: &[u8; HEADER], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&head[at..at + 8]);
    u64::from_le_bytes(word)
}

#[inline]
fn u32_at(head: &[u8; HEADER], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&head[at..at + 4]);
    u32::from_le_bytes(word)
}

/// The numbers are part of the format: never reuse one.
pub(crate) const fn codec_number(codec: CodecKind) -> u8 {
    match codec {
        CodecKind::Bincode => 1,
        CodecKind::Postcard => 2,
        CodecKind::MsgPack => 3,
        CodecKind::Json => 4,
    }
}

pub(crate) const fn codec_of(number: u8) -> Option<CodecKind> {
    match number {
        1 => Some(CodecKind::Bincode),
        2 => Some(CodecKind::Postcard),
        3 => Some(CodecKind::MsgPack),
        4 => Some(CodecKind::Json),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Header, Vec<u8>) {
        let header = Header {
            absent: false,
            codec: CodecKind::Json,
            fingerprint: 0x0123_4567_89ab_cdef,
            stamp: 0,
            soft: Some(Duration::from_secs(60)),
            hard: Duration::from_secs(300),
            load_time: Duration::from_micros(1500),
        };
        let mut entry = vec![0; HEADER];
        entry.extend_from_slice(b"{\"id\":42}");
        header.write(&mut entry);
        (header, entry)
    }

    fn read(entry: &[u8]) -> Result<(Header, &[u8]), Mismatch> {
        Header::read(entry, 0x0123_4567_89ab_cdef)
    }

    #[test]
    fn reads_what_it_wrote() {
        let (header, entry) = sample();
        assert_eq!(read(&entry), Ok((header, &b"{\"id\":42}"[..])));
    }

    #[test]
    fn the_layout_is_as_documented() {
        let (_, entry) = sample();
        assert_eq!(entry[..8], *b"CRT\x01\x04\0\0\0");
        assert_eq!(entry[STAMP], [0; 8]);
        assert_eq!(entry[24..32], 0x0123_4567_89ab_cdef_u64.to_le_bytes());
        assert_eq!(entry[32..40], 60_000_u64.to_le_bytes());
        assert_eq!(entry[40..48], 300_000_u64.to_le_bytes());
        assert_eq!(entry[48..52], 1500_u32.to_le_bytes());
        assert_eq!(entry[52..56], 9_u32.to_le_bytes());
    }

    #[test]
    fn the_backend_may_write_the_stamp() {
        let (header, mut entry) = sample();
        entry[STAMP].copy_from_slice(&1_700_000_000_000_u64.to_le_bytes());
        let stamped = Header {
            stamp: 1_700_000_000_000,
            ..header
        };
        assert_eq!(read(&entry), Ok((stamped, &b"{\"id\":42}"[..])));
    }

    #[test]
    fn each_part_that_does_not_match_has_its_reason() {
        let (_, entry) = sample();
        for (at, value, reason) in [
            (0, b'X', Mismatch::Magic),
            (3, 2, Mismatch::Version),
            (4, 0, Mismatch::Codec),
            (4, 99, Mismatch::Codec),
            (4, 1, Mismatch::Checksum),
            (5, 2, Mismatch::Flags),
            (5, 1, Mismatch::Length),
            (6, 1, Mismatch::Tags),
            (16, 77, Mismatch::Checksum),
            (24, 0, Mismatch::Fingerprint),
            (33, 77, Mismatch::Checksum),
            (52, 10, Mismatch::Length),
            (57, b'x', Mismatch::Checksum),
        ] {
            let mut changed = entry.clone();
            assert_ne!(changed[at], value);
            changed[at] = value;
            assert_eq!(read(&changed), Err(reason), "byte {at} to {value}");
        }
        assert_eq!(read(&entry[..HEADER - 1]), Err(Mismatch::Truncated));
        assert_eq!(read(&entry[..entry.len() - 1]), Err(Mismatch::Length));
        assert_eq!(read(&[&entry[..], b"x"].concat()), Err(Mismatch::Length));
    }

    #[test]
    fn times_that_do_not_fit_are_held_at_the_bounds() {
        let header = Header {
            soft: Some(Duration::ZERO),
            hard: Duration::MAX,
            load_time: Duration::MAX,
            ..sample().0
        };
        let mut entry = vec![0; HEADER];
        header.write(&mut entry);
        let (read, _) = read(&entry).expect("sound");
        assert_eq!(read.soft, Some(Duration::from_millis(1)));
        assert_eq!(read.hard, Duration::from_millis(u64::MAX));
        assert_eq!(read.load_time, Duration::from_micros(u32::MAX.into()));
    }
}
