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

use bytes::Bytes;
use header::{HEADER, Header, MAX_ENTRY, write_tags};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::{Basis, Life};
use crate::codec;
use crate::error::CodecError;
use crate::spec::CodecKind;

/// Room for the payload of a small value, so that most entries are written without growing.
const USUAL_PAYLOAD: usize = 200;

/// What an entry says beside its value.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    /// Of the value's type: [`fingerprint::of`].
    pub(crate) fingerprint: u64,
    /// How the payload is written.
    pub(crate) codec: CodecKind,
    /// Its times: TTL and soft expiry are kept in milliseconds, at least one, the load time in microseconds, up to 71 minutes.
    pub(crate) life: Life,
    /// Its tags, and from when it is.
    pub(crate) basis: Basis,
}

/// An entry read back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded<T> {
    /// The value; `None` where the entry says that there is none.
    pub(crate) value: Option<T>,
    /// Its times, at the age of zero.
    pub(crate) life: Life,
}

/// The bytes of an entry, with a stamp of zero for the backend to overwrite. Without a value it says that there is none.
pub(crate) fn encode<T: Serialize>(value: Option<&T>, meta: &Meta) -> Result<Bytes, CodecError> {
    let mut entry = Vec::with_capacity(HEADER + USUAL_PAYLOAD);
    entry.resize(HEADER, 0);
    let tags = write_tags(meta.basis.tags.as_slice(), &mut entry)
        .map_err(|problem| CodecError::new(meta.codec.name(), problem))?;
    if let Some(value) = value {
        codec::encode(meta.codec, value, &mut entry)?;
    }
    if entry.len() > MAX_ENTRY {
        let detail = format!(
            "the entry is {} bytes long, more than {MAX_ENTRY}",
            entry.len()
        );
        return Err(CodecError::new(meta.codec.name(), detail));
    }
    let header = Header {
        absent: value.is_none(),
        codec: meta.codec,
        fingerprint: meta.fingerprint,
        stamp: 0,
        soft: meta.life.soft(),
        hard: meta.life.ttl(),
        load_time: meta.life.load_time(),
        since: meta.basis.since,
        tags,
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
    let life = Life::new(header.hard)
        .with_soft(header.soft)
        .with_load_time(header.load_time);
    if header.absent {
        return Ok(Decoded { value: None, life });
    }
    let value =
        codec::decode(header.codec, payload).map_err(|_| match codec::is_built(header.codec) {
            Ok(()) => Mismatch::Payload,
            Err(_) => Mismatch::CodecNotBuilt,
        })?;
    Ok(Decoded {
        value: Some(value),
        life,
    })
}
