//! The bytes of a logged write's arguments: what they are, and the arguments as a codec wrote them.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | `CWB1` |
//! | 4 | codec, numbered as in entries |
//! | 5..8 | zero |
//! | 8..16 | fingerprint of names and shapes of the arguments, little-endian |
//! | 16..24 | checksum of all the rest, little-endian |
//! | 24.. | the arguments |

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::entry::checksum::checksum;
use crate::entry::header::{codec_number, codec_of};
use crate::error::{CodecError, Error};
use crate::spec::CodecKind;

const MAGIC: &[u8; 4] = b"CWB1";
pub(crate) const HEADER: usize = 24;

/// Room for small arguments, so that most records are written without growing.
const USUAL_ARGUMENTS: usize = 100;

/// What a dead letter says of arguments of another shape.
pub(crate) const OTHER_ARGUMENTS: &str =
    "the arguments are of a version of the program that names or shapes them otherwise";

const NOT_A_WRITE: &str = "these bytes are not a write of this log";
const DAMAGED: &str = "the bytes of the write are damaged";

pub(crate) fn encode<A: Serialize>(
    arguments: &A,
    fingerprint: u64,
    codec: CodecKind,
) -> Result<Bytes, CodecError> {
    let mut record = Vec::with_capacity(HEADER + USUAL_ARGUMENTS);
    record.extend_from_slice(MAGIC);
    record.extend_from_slice(&[codec_number(codec), 0, 0, 0]);
    record.extend_from_slice(&fingerprint.to_le_bytes());
    record.extend_from_slice(&[0; 8]);
    codec::encode(codec, arguments, &mut record)?;
    let sum = sum_of(&record).to_le_bytes();
    record[16..HEADER].copy_from_slice(&sum);
    Ok(record.into())
}

/// Reads arguments of these names and shapes; the error is a text for the dead letter.
pub(crate) fn decode<A: DeserializeOwned>(bytes: &[u8], fingerprint: u64) -> Result<A, String> {
    let (codec, written) = open(bytes)?;
    if written != fingerprint {
        return Err(OTHER_ARGUMENTS.to_owned());
    }
    read(codec, bytes)
}

/// Reads arguments whatever names they had.
pub(crate) fn decode_any<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, String> {
    let (codec, _) = open(bytes)?;
    read(codec, bytes)
}

fn read<A: DeserializeOwned>(codec: CodecKind, bytes: &[u8]) -> Result<A, String> {
    codec::is_built(codec).map_err(|error| error.to_string())?;
    codec::decode(codec, &bytes[HEADER..]).map_err(|error| error.to_string())
}

/// Codec and fingerprint, if the bytes are a sound record.
fn open(bytes: &[u8]) -> Result<(CodecKind, u64), String> {
    let Some((head, _)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(NOT_A_WRITE.to_owned());
    };
    if head[..4] != *MAGIC {
        return Err(NOT_A_WRITE.to_owned());
    }
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(word)
    };
    if word(16) != sum_of(bytes) {
        return Err(DAMAGED.to_owned());
    }
    let codec = codec_of(head[4]).ok_or("the codec of the write is not known to this version")?;
    Ok((codec, word(8)))
}

fn sum_of(record: &[u8]) -> u64 {
    checksum(checksum(1, &record[..16]), &record[HEADER..])
}

/// Makes the bytes a record of these arguments again after a change: magic, fingerprint and checksum.
#[cfg(feature = "testing")]
pub(crate) fn seal(record: &mut [u8], fingerprint: u64) {
    if record.len() >= HEADER {
        record[..4].copy_from_slice(MAGIC);
        record[8..16].copy_from_slice(&fingerprint.to_le_bytes());
        let sum = sum_of(record).to_le_bytes();
        record[16..HEADER].copy_from_slice(&sum);
    }
}

/// The error where no codec is built in.
pub(crate) fn no_codec() -> Error {
    CodecError::new(
        "none",
        "turn on one of the features `bincode`, `postcard`, `msgpack`, `json` of cache-runtime",
    )
    .into()
}

#[cfg(all(test, feature = "bincode"))]
mod tests {
    use super::*;

    type Args = (u64, String);

    fn record() -> Vec<u8> {
        encode(&(7_u64, "x".to_owned()), 42, CodecKind::Bincode)
            .expect("plain")
            .to_vec()
    }

    #[test]
    fn is_read_back_by_those_of_its_shape_alone() {
        assert_eq!(decode::<Args>(&record(), 42), Ok((7, "x".to_owned())));
        assert_eq!(
            decode::<Args>(&record(), 43),
            Err(OTHER_ARGUMENTS.to_owned())
        );
        assert_eq!(decode_any::<Args>(&record()), Ok((7, "x".to_owned())));
    }

    #[test]
    fn every_damage_is_seen() {
        let sound = record();
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            assert!(decode::<Args>(&damaged, 42).is_err(), "byte {at}");
            assert!(decode::<Args>(&sound[..at], 42).is_err(), "length {at}");
        }
    }
}
