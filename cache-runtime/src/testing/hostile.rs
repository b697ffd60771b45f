//! The readers of what anyone may have written, for the fuzz targets of the tests, each with its writer. No promise is made of it.
//!
//! A `seal` makes checksums and fingerprints right again after a change, so that what lies beneath them is reached too.

/// The bytes of entries.
pub mod entry {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::backend::{Basis, Life};
    use crate::entry::{self, Meta, fingerprint, header};
    use crate::error::CodecError;
    use crate::spec::CodecKind;

    /// What backends overwrite: the stamp and the tag version. No change of these is a damage.
    pub const OF_BACKENDS: [std::ops::Range<usize>; 2] = [header::STAMP, header::SINCE];

    /// The length of the fixed part.
    pub const HEADER: usize = header::HEADER;

    /// Of a type in a version of its schema.
    #[must_use]
    pub fn fingerprint<T: DeserializeOwned>(schema: u32) -> u64 {
        fingerprint::of::<T>(schema)
    }

    /// The bytes of a value, or of none.
    ///
    /// # Errors
    ///
    /// Those of the codec.
    pub fn write<T: Serialize>(
        value: Option<&T>,
        fingerprint: u64,
        codec: CodecKind,
        life: Life,
        basis: Basis,
    ) -> Result<Vec<u8>, CodecError> {
        let meta = Meta {
            fingerprint,
            codec,
            life,
            basis,
        };
        entry::encode(value, &meta).map(|bytes| bytes.to_vec())
    }

    /// The value and its times.
    ///
    /// # Errors
    ///
    /// The reason for a miss.
    pub fn read<T: DeserializeOwned>(
        bytes: &[u8],
        fingerprint: u64,
    ) -> Result<(Option<T>, Life), &'static str> {
        match entry::decode(bytes, fingerprint) {
            Ok(decoded) => Ok((decoded.value, decoded.life)),
            Err(reason) => Err(reason.label()),
        }
    }

    /// What a backend reads of it: from when it is, and its tags.
    #[must_use]
    pub fn basis(bytes: &[u8]) -> Option<Basis> {
        header::basis(bytes)
    }

    /// Makes the bytes an entry of this type again.
    pub fn seal(bytes: &mut [u8], fingerprint: u64) {
        header::seal(bytes, fingerprint);
    }
}

/// The bytes of logged writes.
pub mod record {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::error::CodecError;
    use crate::pattern::write_behind::record;
    use crate::spec::CodecKind;

    /// The length of the fixed part.
    pub const HEADER: usize = record::HEADER;

    /// The bytes of arguments.
    ///
    /// # Errors
    ///
    /// Those of the codec.
    pub fn write<A: Serialize>(
        arguments: &A,
        fingerprint: u64,
        codec: CodecKind,
    ) -> Result<Vec<u8>, CodecError> {
        record::encode(arguments, fingerprint, codec).map(|bytes| bytes.to_vec())
    }

    /// Arguments of these names and shapes.
    ///
    /// # Errors
    ///
    /// What a dead letter says of them.
    pub fn read<A: DeserializeOwned>(bytes: &[u8], fingerprint: u64) -> Result<A, String> {
        record::decode(bytes, fingerprint)
    }

    /// Arguments whatever names they had.
    ///
    /// # Errors
    ///
    /// What a dead letter says of them.
    pub fn read_any<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, String> {
        record::decode_any(bytes)
    }

    /// Makes the bytes a record of these arguments again.
    pub fn seal(bytes: &mut [u8], fingerprint: u64) {
        record::seal(bytes, fingerprint);
    }
}

/// What Redis answers of the log.
#[cfg(feature = "redis")]
pub mod reply {
    use crate::backend::log::Payload;
    use crate::backend::redis::log::reply;
    use crate::key::Key;

    /// Function, key and arguments of an entry, if the reply is one.
    #[must_use]
    pub fn entry(reply: redis::Value) -> Option<(String, Key, Vec<u8>)> {
        let entry = reply::entry(reply)?;
        let arguments = match entry.payload {
            Payload::Encoded(bytes) => bytes.to_vec(),
            Payload::Typed(_) => Vec::new(),
        };
        Some((entry.function, entry.key, arguments))
    }
}

/// Templates at run time.
pub mod template {
    use crate::key::KeyText;
    use crate::registry::template::Template;

    /// A template that was taken apart.
    #[derive(Debug)]
    pub struct Parsed(Template);

    impl Parsed {
        /// Takes any text apart; the macros let only good ones come here.
        #[must_use]
        pub fn of(source: &str) -> Self {
            Self(Template::parse(source))
        }

        /// The texts of the placeholders, if the key could be of this template.
        #[must_use]
        pub fn values<'k>(&self, key: &'k str) -> Option<Vec<KeyText<'k>>> {
            self.0.values(key)
        }

        /// How many characters of the key have to change for that.
        #[must_use]
        pub fn distance(&self, key: &str) -> usize {
            self.0.distance(key)
        }

        /// Whether a key can be of both.
        #[must_use]
        pub fn overlaps(&self, other: &Self) -> bool {
            self.0.overlaps(&other.0)
        }
    }
}

/// A segment of an access log.
pub mod segment {
    use std::time::Duration;

    use crate::key::Key;
    use crate::warm::shadow::format::{self, Header, Segment};

    /// Adds a record, and the header before the first.
    pub fn write(bytes: &mut Vec<u8>, micros: u64, key: &Key) {
        if bytes.is_empty() {
            let header = Header {
                one_in: 1,
                begun: 0,
            };
            header.write(bytes);
        }
        format::write_record(bytes, bytes.len(), micros, key);
    }

    /// The records, and how many bytes after them are torn. `None` for a file that was changed, or is no such segment.
    #[must_use]
    pub fn read(bytes: Vec<u8>) -> Option<(Vec<(Duration, Key)>, u64)> {
        let (segment, torn) = Segment::read(bytes).ok()?;
        let records = segment.into_iter().flatten();
        Some((
            records.map(|record| (record.at, record.key)).collect(),
            torn,
        ))
    }

    /// Makes the header right again, and the frames and sums of the records.
    pub fn seal(bytes: &mut [u8]) {
        format::seal(bytes);
    }
}

/// The file of the hottest keys.
pub mod hot {
    use crate::key::Key;
    use crate::warm::hot::{HotKey, file};

    /// The file of these keys.
    #[must_use]
    pub fn write(keys: &[(Key, f64)]) -> Vec<u8> {
        let hot = |(key, accesses): &(Key, f64)| HotKey {
            key: key.clone(),
            accesses: *accesses,
        };
        file::write(&keys.iter().map(hot).collect::<Vec<_>>())
    }

    /// The keys of a file; `None` for one that was changed, or is no such file.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Vec<(Key, f64)>> {
        let keys = file::read(bytes).ok()?;
        Some(
            keys.into_iter()
                .map(|hot| (hot.key, hot.accesses))
                .collect(),
        )
    }

    /// Makes the bytes such a file again.
    pub fn seal(bytes: &mut [u8]) {
        file::seal(bytes);
    }
}
