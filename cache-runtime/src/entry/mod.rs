//! Entries as a remote backend keeps them: a header that says what they are, and the value as a codec wrote it.
//!
//! Whatever does not match, from a foreign key's bytes to a type that has changed, is a miss with a reason ([`Mismatch`]).

pub(crate) mod checksum;
pub(crate) mod fingerprint;
pub(crate) mod header;
pub(crate) mod roundtrip;
#[cfg(test)]
mod tests;

pub(crate) use header::Mismatch;

use std::time::Duration;

use bytes::Bytes;
use header::{HEADER, Header, MAX_ENTRY};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::error::CodecError;
use crate::spec::CodecKind;

/// Room for the payload of a small value, so that most entries are written without growing.
const USUAL_PAYLOAD: usize = 200;

/// What an entry says beside its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    /// Of the value's type: [`fingerprint::of`].
    pub(crate) fingerprint: u64,
    /// How the payload is written.
    pub(crate) codec: CodecKind,
    /// How long the load took; kept in microseconds, up to 71 minutes.
    pub(crate) load_time: Duration,
    /// After what time the entry expires; kept in milliseconds, at least one.
    pub(crate) ttl: Duration,
    /// After what time it is stale, though it may still be served.
    pub(crate) soft: Option<Duration>,
}

/// A value read back, with what the entry says of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded<T> {
    /// The value.
    pub(crate) value: T,
    /// How long its load took.
    pub(crate) load_time: Duration,
    /// When it is stale, counted from the stamp.
    pub(crate) soft: Option<Duration>,
    /// When it expires, counted from the stamp.
    pub(crate) hard: Duration,
    /// When the backend stored it, in milliseconds of the backend's clock; zero if the backend wrote none.
    pub(crate) stamp: u64,
}

/// The bytes of an entry, with a stamp of zero for the backend to overwrite.
pub(crate) fn encode<T: Serialize>(value: &T, meta: &Meta) -> Result<Bytes, CodecError> {
    let mut entry = Vec::with_capacity(HEADER + USUAL_PAYLOAD);
    entry.resize(HEADER, 0);
    codec::encode(meta.codec, value, &mut entry)?;
    if entry.len() > MAX_ENTRY {
        let detail = format!(
            "the entry is {} bytes long, more than {MAX_ENTRY}",
            entry.len()
        );
        return Err(CodecError::new(meta.codec.name(), detail));
    }
    let header = Header {
        codec: meta.codec,
        fingerprint: meta.fingerprint,
        stamp: 0,
        soft: meta.soft,
        hard: meta.ttl,
        load_time: meta.load_time,
    };
    header.write(&mut entry);
    Ok(entry.into())
}

/// Reads an entry of a type with this fingerprint. Allocates nothing but the value's own parts.
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    fingerprint: u64,
) -> Result<Decoded<T>, Mismatch> {
    let (header, payload) = Header::read(bytes, fingerprint)?;
    let value =
        codec::decode(header.codec, payload).map_err(|_| match codec::is_built(header.codec) {
            Ok(()) => Mismatch::Payload,
            Err(_) => Mismatch::CodecNotBuilt,
        })?;
    let Header {
        load_time,
        soft,
        hard,
        stamp,
        ..
    } = header;
    Ok(Decoded {
        value,
        load_time,
        soft,
        hard,
        stamp,
    })
}
