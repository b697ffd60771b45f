//! bincode 2 in its standard configuration.

use ::bincode::config::standard;
use ::bincode::enc::write::Writer;
use ::bincode::error::EncodeError;
use ::bincode::serde::{encode_into_writer, seed_decode_from_slice};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::{Limits, Root};
use super::{failed, trailing};
use crate::error::CodecError;
use crate::spec::CodecKind::Bincode;

struct Out<'a>(&'a mut Vec<u8>);

impl Writer for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

pub(super) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    encode_into_writer(value, Out(out), standard()).map_err(|error| failed(Bincode, error))
}

/// bincode's own limit is a constant of the type, so it cannot follow the input's length; [`Limits`] does.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let limits = Limits::of(bytes);
    let (value, used) = seed_decode_from_slice(Root::<T>::new(&limits), bytes, standard())
        .map_err(|error| failed(Bincode, error))?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(trailing(Bincode))
    }
}
