//! The fixed part of a remote entry, byte by byte.
//!
//! | bytes | what, little-endian |
//! | --- | --- |
//! | 0..3 | magic: `CRT` |
//! | 3 | format version |
//! | 4 | codec |
//! | 5 | flags; bit 0: there is no value, and no payload |
//! | 6..8 | number of tags, at most 256 |
//! | 8..16 | stamp: the backend's clock when it stored the entry, in ms; zero from us |
//! | 16..24 | checksum of all bytes but these, the stamp and the tag version |
//! | 24..32 | schema fingerprint |
//! | 32..40 | soft expiry, in ms after the stamp; 0 for none |
//! | 40..48 | hard expiry, in ms after the stamp |
//! | 48..52 | load time, in microseconds |
//! | 52..56 | length of the tags and the payload |
//! | 56..64 | tag version: what the clock of the tags said before the load; 0 from us for "when it is stored" |
//! | 64.. | each tag: the length of its name in 2 bytes, and the name |
//! | then | the payload, to the end |

use std::ops::Range;
use std::time::Duration;

use super::checksum::{checksum, step};
use crate::backend::{Basis, MAX_TAGS, TagVersion, Tags};
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::spec::CodecKind;

/// Where a backend writes the time of its own clock, in milliseconds, when it stores an entry.
pub(crate) const STAMP: Range<usize> = 8..16;

/// Where a backend writes what the clock of the tags says, when it stores an entry that is as new as that.
pub(crate) const SINCE: Range<usize> = 56..64;

/// The length of the fixed part.
pub(crate) const HEADER: usize = 64;

/// The largest entry: 64 MiB. Far beyond what a store answers within an operation's time budget, so that reaching it
/// means a mistake in the key or the type; and a bound on what one read can make this process hold.
pub(crate) const MAX_ENTRY: usize = 64 << 20;

const MAGIC: [u8; 3] = *b"CRT";
const VERSION: u8 = 2;
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
    /// More tags than there can be, or names that go beyond the end.
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
    /// `None` from us for "when it is stored".
    pub(super) since: Option<TagVersion>,
    pub(super) tags: u16,
}

/// Appends the names of tags.
pub(super) fn write_tags(tags: &[Key], entry: &mut Vec<u8>) -> Result<u16, String> {
    if tags.len() > MAX_TAGS {
        return Err(format!("{} tags, more than {MAX_TAGS}", tags.len()));
    }
    for tag in tags {
        let name = tag.as_bytes();
        let length = u16::try_from(name.len())
            .map_err(|_| format!("the name of a tag is {} bytes long", name.len()))?;
        entry.extend_from_slice(&length.to_le_bytes());
        entry.extend_from_slice(name);
    }
    // At most `MAX_TAGS`.
    Ok(tags.len() as u16)
}

/// What the entry says of its tags; `None` for bytes that are no entry of this version.
pub(crate) fn basis(entry: &[u8]) -> Option<Basis> {
    let (since, names) = depends(entry)?;
    let mut tags = Tags::new();
    for name in names {
        tags.push(Key::from(std::str::from_utf8(name).ok()?));
    }
    Some(Basis {
        since: (since != 0).then(|| TagVersion::from_number(since)),
        tags,
    })
}

/// From when the entry is, and the names of its tags; `None` for bytes that are no entry of this version. A name that is cut off ends the list: the
/// checksum finds that out.
pub(crate) fn depends(entry: &[u8]) -> Option<(u64, impl Iterator<Item = &[u8]>)> {
    let (head, mut rest) = entry.split_first_chunk::<HEADER>()?;
    if head[..3] != MAGIC || head[3] != VERSION {
        return None;
    }
    let mut left = tags_of(head).ok()?;
    let names = std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let name;
        (name, rest) = split_tag(rest)?;
        Some(name)
    });
    Some((u64_at(head, SINCE.start), names))
}

fn tags_of(head: &[u8; HEADER]) -> Result<u16, Mismatch> {
    let count = u16::from_le_bytes([head[6], head[7]]);
    if usize::from(count) > MAX_TAGS {
        return Err(Mismatch::Tags);
    }
    Ok(count)
}

/// The name of the tag that the bytes begin with, and what follows.
fn split_tag(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_le_bytes(*length).into())
}

/// Whether the bytes are an entry of this version as far as one can see: what a backend may look for a tag version in.
#[cfg(feature = "redis")]
pub(crate) fn is_entry(entry: &[u8]) -> bool {
    entry.len() >= HEADER && entry[..3] == MAGIC && entry[3] == VERSION
}

impl Header {
    /// Fills in the fixed part of an entry whose tags and payload are in place.
    pub(super) fn write(&self, entry: &mut [u8]) {
        let Some((head, payload)) = entry.split_first_chunk_mut::<HEADER>() else {
            return;
        };
        head[..3].copy_from_slice(&MAGIC);
        head[3] = VERSION;
        head[4] = codec_number(self.codec);
        head[5] = if self.absent { ABSENT } else { 0 };
        head[6..8].copy_from_slice(&self.tags.to_le_bytes());
        let since = self.since.map_or(0, TagVersion::number);
        head[SINCE].copy_from_slice(&since.to_le_bytes());
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
        let tags = tags_of(head)?;
        if payload.len() != u32_at(head, 52) as usize || entry.len() > MAX_ENTRY {
            return Err(Mismatch::Length);
        }
        if u64_at(head, 24) != fingerprint && !mutants::on(Mutant::FingerprintIgnored) {
            return Err(Mismatch::Fingerprint);
        }
        if u64_at(head, SUM.start) != sum_of(entry) && !mutants::on(Mutant::ChecksumIgnored) {
            return Err(Mismatch::Checksum);
        }
        let mut payload = payload;
        for _ in 0..tags {
            (_, payload) = split_tag(payload).ok_or(Mismatch::Tags)?;
        }
        if absent && !payload.is_empty() {
            return Err(Mismatch::Length);
        }
        let (soft, since) = (u64_at(head, 32), u64_at(head, SINCE.start));
        let header = Self {
            absent,
            codec,
            fingerprint,
            stamp: u64_at(head, STAMP.start),
            soft: (soft != 0).then(|| Duration::from_millis(soft)),
            hard: Duration::from_millis(u64_at(head, 40)),
            load_time: Duration::from_micros(u32_at(head, 48).into()),
            since: (since != 0).then(|| TagVersion::from_number(since)),
            tags,
        };
        Ok((header, payload))
    }
}

/// The sum over everything but the stamp and the tag version, which the backend overwrites, and the sum itself.
fn sum_of(entry: &[u8]) -> u64 {
    match entry.split_first_chunk::<HEADER>() {
        Some((head, rest)) => {
            let words = head[SUM.end..SINCE.start].as_chunks::<8>().0;
            let of_head = words.iter().fold(u64_at(head, 0), |sum, word| {
                step(sum, u64::from_le_bytes(*word))
            });
            checksum(of_head, rest)
        }
        None => 0,
    }
}

/// Makes the bytes an entry of this version and type again after a change: magic, version, fingerprint, length and checksum.
#[cfg(feature = "testing")]
pub(crate) fn seal(entry: &mut [u8], fingerprint: u64) {
    if let Some((head, payload)) = entry.split_first_chunk_mut::<HEADER>() {
        head[..3].copy_from_slice(&MAGIC);
        head[3] = VERSION;
        head[24..32].copy_from_slice(&fingerprint.to_le_bytes());
        head[52..56].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        let sum = sum_of(entry);
        entry[SUM].copy_from_slice(&sum.to_le_bytes());
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
            since: Some(TagVersion::from_number(77)),
            tags: 1,
        };
        let mut entry = vec![0; HEADER];
        write_tags(&[Key::from("org:7")], &mut entry).expect("one tag");
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
        assert_eq!(entry[..8], *b"CRT\x02\x04\0\x01\0");
        assert_eq!(entry[STAMP], [0; 8]);
        assert_eq!(entry[24..32], 0x0123_4567_89ab_cdef_u64.to_le_bytes());
        assert_eq!(entry[32..40], 60_000_u64.to_le_bytes());
        assert_eq!(entry[40..48], 300_000_u64.to_le_bytes());
        assert_eq!(entry[48..52], 1500_u32.to_le_bytes());
        assert_eq!(entry[52..56], 16_u32.to_le_bytes());
        assert_eq!(entry[SINCE], 77_u64.to_le_bytes());
        assert_eq!(entry[64..71], *b"\x05\0org:7");
    }

    #[test]
    fn the_backend_may_write_the_stamp_and_the_tag_version() {
        let (header, mut entry) = sample();
        entry[STAMP].copy_from_slice(&1_700_000_000_000_u64.to_le_bytes());
        entry[SINCE].copy_from_slice(&99_u64.to_le_bytes());
        let stamped = Header {
            stamp: 1_700_000_000_000,
            since: Some(TagVersion::from_number(99)),
            ..header
        };
        assert_eq!(read(&entry), Ok((stamped, &b"{\"id\":42}"[..])));
    }

    #[test]
    fn each_part_that_does_not_match_has_its_reason() {
        let (_, entry) = sample();
        for (at, value, reason) in [
            (0, b'X', Mismatch::Magic),
            (3, 1, Mismatch::Version),
            (4, 0, Mismatch::Codec),
            (4, 99, Mismatch::Codec),
            (4, 1, Mismatch::Checksum),
            (5, 2, Mismatch::Flags),
            (5, 1, Mismatch::Checksum),
            (6, 2, Mismatch::Checksum),
            (7, 2, Mismatch::Tags),
            (64, 6, Mismatch::Checksum),
            (16, 77, Mismatch::Checksum),
            (24, 0, Mismatch::Fingerprint),
            (33, 77, Mismatch::Checksum),
            (52, 10, Mismatch::Length),
            (66, b'x', Mismatch::Checksum),
            (75, b'x', Mismatch::Checksum),
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
    fn tags_are_read_back_whatever_else_the_bytes_are() {
        let (_, entry) = sample();
        let told = basis(&entry).expect("an entry");
        assert_eq!(told.since, Some(TagVersion::from_number(77)));
        assert_eq!(told.tags.as_slice(), [Key::from("org:7")]);
        for length in 0..entry.len() {
            let _ = basis(&entry[..length]);
        }
        let mut cut = entry.clone();
        cut[64] = 200;
        assert!(basis(&cut).expect("an entry").tags.is_empty());
        assert_eq!(basis(b"CONFORM!"), None);
        let many: Vec<_> = (0..=MAX_TAGS).map(|n| Key::from(n.to_string())).collect();
        assert!(write_tags(&many, &mut Vec::new()).is_err());
    }

    #[test]
    fn times_that_do_not_fit_are_held_at_the_bounds() {
        let header = Header {
            soft: Some(Duration::ZERO),
            hard: Duration::MAX,
            load_time: Duration::MAX,
            tags: 0,
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
