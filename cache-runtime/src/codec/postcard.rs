//! postcard 1.

use ::postcard::ser_flavors::Flavor;
use ::postcard::{Deserializer, serialize_with_flavor};
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use super::bounded::{Limits, Root};
use super::{failed, trailing};
use crate::error::CodecError;
use crate::spec::CodecKind::Postcard;

struct Out<'a>(&'a mut Vec<u8>);

impl Flavor for Out<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> ::postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> ::postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> ::postcard::Result<()> {
        Ok(())
    }
}

pub(super) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    serialize_with_flavor(value, Out(out)).map_err(|error| failed(Postcard, error))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let limits = Limits::of(bytes);
    let mut reader = Deserializer::from_bytes(bytes);
    let value = Root::<T>::new(&limits)
        .deserialize(&mut reader)
        .map_err(|error| failed(Postcard, error))?;
    match reader.finalize() {
        Ok([]) => Ok(value),
        _ => Err(trailing(Postcard)),
    }
}
