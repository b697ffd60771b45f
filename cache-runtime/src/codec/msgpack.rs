//! MessagePack with named fields: drifts with the type, and serves every type that serde can describe.

use rmp_serde::decode::Error;
use rmp_serde::{Deserializer, Serializer};
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde::{Deserialize, Serialize};

use super::bounded::{Limits, Root};
use super::{failed, trailing};
use crate::error::CodecError;
use crate::spec::CodecKind::MsgPack;

pub(super) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let mut writer = Serializer::new(out).with_struct_map();
    value
        .serialize(&mut writer)
        .map_err(|error| failed(MsgPack, error))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let limits = Limits::of(bytes);
    let mut reader = Deserializer::from_read_ref(bytes);
    let value = Root::<T>::new(&limits)
        .deserialize(&mut reader)
        .map_err(|error| failed(MsgPack, error))?;
    // The reader does not show what is left, but only at its end does it fail to find the one byte that starts a number.
    match u8::deserialize(&mut reader) {
        Err(Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err(trailing(MsgPack)),
    }
}
