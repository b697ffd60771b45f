//! How the payload of a remote entry is written and read: one file a codec, each behind the cargo feature of its name.
//!
//! Reading trusts nothing: no codec's own bounds are enough, so each reads through [`bounded`]. Writing refuses what could
//! not be read back as the same value: [`survey`].

#[cfg(feature = "bincode")]
mod bincode;
#[cfg(any(
    feature = "bincode",
    feature = "postcard",
    feature = "msgpack",
    feature = "json"
))]
mod bounded;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "postcard")]
mod postcard;
mod survey;
#[cfg(test)]
mod tests;

pub(crate) use survey::survey;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{CodecError, ConfigError};
use crate::spec::CodecKind;

/// How deeply a value may nest, counting structs, tuples, sequences, maps, enums and `Some`: what keeps a stored chain of
/// boxes from overflowing a task's stack. A little under serde_json's own limit, so that all codecs take the same values.
const MAX_DEPTH: u32 = 120;

/// The codec of a cache that names none: bincode, else the first that is built.
pub(crate) fn default_kind() -> Option<CodecKind> {
    [
        CodecKind::Bincode,
        CodecKind::Postcard,
        CodecKind::MsgPack,
        CodecKind::Json,
    ]
    .into_iter()
    .find(|kind| has(*kind))
}

/// Whether the codec's cargo feature is on; the error names the feature.
pub(crate) fn is_built(kind: CodecKind) -> Result<(), ConfigError> {
    if has(kind) {
        Ok(())
    } else {
        Err(ConfigError::new("codec", not_built(kind)))
    }
}

/// Appends the value to `out`. On an error `out` may hold a part of it.
pub(crate) fn encode<T: Serialize>(
    kind: CodecKind,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    if has(kind) {
        survey(kind, value)?;
    }
    match kind {
        #[cfg(feature = "bincode")]
        CodecKind::Bincode => bincode::encode(value, out),
        #[cfg(feature = "postcard")]
        CodecKind::Postcard => postcard::encode(value, out),
        #[cfg(feature = "msgpack")]
        CodecKind::MsgPack => msgpack::encode(value, out),
        #[cfg(feature = "json")]
        CodecKind::Json => json::encode(value, out),
        #[allow(unreachable_patterns)]
        _ => {
            let _ = out;
            Err(CodecError::new(kind.name(), not_built(kind)))
        }
    }
}

/// Reads a value that is all of `bytes`. What it allocates is bounded by the length of `bytes`, not by what they claim.
pub(crate) fn decode<T: DeserializeOwned>(kind: CodecKind, bytes: &[u8]) -> Result<T, CodecError> {
    match kind {
        #[cfg(feature = "bincode")]
        CodecKind::Bincode => bincode::decode(bytes),
        #[cfg(feature = "postcard")]
        CodecKind::Postcard => postcard::decode(bytes),
        #[cfg(feature = "msgpack")]
        CodecKind::MsgPack => msgpack::decode(bytes),
        #[cfg(feature = "json")]
        CodecKind::Json => json::decode(bytes),
        #[allow(unreachable_patterns)]
        _ => {
            let _ = bytes;
            Err(CodecError::new(kind.name(), not_built(kind)))
        }
    }
}

const fn has(kind: CodecKind) -> bool {
    match kind {
        CodecKind::Bincode => cfg!(feature = "bincode"),
        CodecKind::Postcard => cfg!(feature = "postcard"),
        CodecKind::MsgPack => cfg!(feature = "msgpack"),
        CodecKind::Json => cfg!(feature = "json"),
    }
}

fn not_built(kind: CodecKind) -> String {
    let name = kind.name();
    format!("`{name}` is not built in: turn on the feature `{name}` of cache-runtime")
}

#[allow(dead_code)] // no codec, no caller
#[cold]
fn failed(kind: CodecKind, error: impl fmt::Display) -> CodecError {
    CodecError::new(kind.name(), error.to_string())
}

#[allow(dead_code)] // no codec, no caller
#[cold]
fn trailing(kind: CodecKind) -> CodecError {
    CodecError::new(kind.name(), "bytes are left over after the value")
}
