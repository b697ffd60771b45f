//! JSON, with floats that keep every bit.

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::Deserializer;

use super::bounded::{Limits, Root};
use super::failed;
use crate::error::CodecError;
use crate::spec::CodecKind::Json;

pub(super) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    serde_json::to_writer(out, value).map_err(|error| failed(Json, error))
}

/// serde_json announces no lengths and limits nesting by itself, but not that of `Option`, which takes no input here.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let limits = Limits::of(bytes);
    let mut reader = Deserializer::from_slice(bytes);
    let value = Root::<T>::new(&limits)
        .deserialize(&mut reader)
        .map_err(|error| failed(Json, error))?;
    reader.end().map_err(|error| failed(Json, error))?;
    Ok(value)
}
