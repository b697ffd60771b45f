//! The permit to use the new backend: an entry of the old one.
//!
//! While it is there the new backend has everything that the old one has been told. Whoever could not tell the new one something takes it away. It is an
//! entry like any other, so the promise that an invalidated entry is seen by nobody who asks later holds for it, across processes, and so does
//! the lease: a permit that is being made when somebody takes it away is not given.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::backend::{Encoded, Format, Life, Stored, Typed};
use crate::entry::checksum::checksum;
use crate::key::Key;

/// It is renewed whenever the share is changed. A roll-out that takes longer than this begins anew.
pub(super) const KEPT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Its key. A `%` in a key that the cache has written is followed by two digits.
pub(super) fn key() -> &'static Key {
    static KEY: once_cell::sync::Lazy<Key> = once_cell::sync::Lazy::new(|| Key::from("%roll-out"));
    &KEY
}

/// What the new backend may be used for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Permit {
    /// Tells it from those before and after it. Not zero.
    pub(super) number: u64,
    /// The share of the keys.
    pub(super) share: f64,
}

const MAGIC: &[u8; 8] = b"%roll-1\n";
/// Magic, the backend's stamp, what a later version of an entry may have there, number, share, checksum.
const LENGTH: usize = 88;
const NUMBER: usize = 64;

impl Permit {
    pub(super) fn new(share: f64) -> Self {
        let number = fastrand::u64(1..);
        Self { number, share }
    }

    pub(super) fn store(self, format: Format) -> Stored {
        match format {
            Format::Typed => Stored::Typed(Typed::new(Arc::new(self), Life::new(KEPT))),
            Format::Encoded => {
                let mut bytes = vec![0; NUMBER];
                bytes[..8].copy_from_slice(MAGIC);
                bytes.extend_from_slice(&self.number.to_le_bytes());
                bytes.extend_from_slice(&self.share.to_bits().to_le_bytes());
                let sum = checksum(0, &bytes[NUMBER..]);
                bytes.extend_from_slice(&sum.to_le_bytes());
                Stored::Encoded(Encoded::new(Bytes::from(bytes)))
            }
        }
    }

    /// `None` for what is no permit: then there is none.
    pub(super) fn read(stored: &Stored) -> Option<Self> {
        let bytes = match stored {
            Stored::Typed(typed) => return typed.value.downcast_ref().copied(),
            Stored::Encoded(entry) => <&[u8; LENGTH]>::try_from(&entry.bytes[..]).ok()?,
        };
        let word = |at: usize| bytes[at..].first_chunk().map(|it| u64::from_le_bytes(*it));
        let (number, share) = (word(NUMBER)?, f64::from_bits(word(NUMBER + 8)?));
        let sound = bytes.starts_with(MAGIC)
            && word(NUMBER + 16)? == checksum(0, &bytes[NUMBER..NUMBER + 16]);
        (sound && number != 0 && (0.0..=1.0).contains(&share)).then_some(Self { number, share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_in_either_form() {
        let permit = Permit::new(0.25);
        for format in [Format::Typed, Format::Encoded] {
            assert_eq!(Permit::read(&permit.store(format)), Some(permit));
        }
    }

    #[test]
    fn anything_else_is_no_permit() {
        let Stored::Encoded(Encoded { bytes, .. }) = Permit::new(1.0).store(Format::Encoded) else {
            panic!("asked for bytes");
        };
        let read = |bytes: Vec<u8>| Permit::read(&Stored::Encoded(Encoded::new(bytes.into())));
        for at in (0..8).chain(NUMBER..LENGTH) {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert_eq!(read(changed), None, "byte {at}");
        }
        // The backend's own.
        let mut stamped = bytes.to_vec();
        stamped[8..NUMBER].fill(7);
        assert!(read(stamped).is_some());
        assert_eq!(read(bytes[..80].to_vec()), None);
        assert_eq!(
            read(
                Permit {
                    number: 1,
                    share: 2.0
                }
                .bytes()
            ),
            None
        );
    }

    impl Permit {
        fn bytes(self) -> Vec<u8> {
            match self.store(Format::Encoded) {
                Stored::Encoded(entry) => entry.bytes.to_vec(),
                Stored::Typed(_) => Vec::new(),
            }
        }
    }
}
