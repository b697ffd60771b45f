//! A walk over a value as serde shows it, before a codec writes it: refuses what the codec would write without complaint and
//! read back as something else, and sums the value up so that two can be compared whose type has no `PartialEq`.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use super::MAX_DEPTH;
use crate::entry::checksum::{checksum, step};
use crate::error::CodecError;
use crate::spec::CodecKind;

/// Refuses a value that the codec would not read back as it is; else a digest of all that serde sees of it.
///
/// The elements of a sequence and the pairs of a map count in any order: a `HashMap` or `HashSet` that was read back iterates in
/// an order of its own, and no codec reorders.
pub(crate) fn survey<T: Serialize + ?Sized>(kind: CodecKind, value: &T) -> Result<u64, CodecError> {
    match value.serialize(Survey { kind, depth: 0 }) {
        Ok(node) => Ok(node.digest),
        Err(refusal) => Err(CodecError::new(kind.name(), refusal.to_string())),
    }
}

#[derive(Clone, Copy)]
struct Survey {
    kind: CodecKind,
    depth: u32,
}

/// What a part of the value came to.
#[derive(Clone, Copy)]
struct Node {
    digest: u64,
    /// The codec writes it as its null, which inside `Some` would read as `None`.
    null: bool,
}

/// Why a value is refused.
#[derive(Debug)]
enum Refusal {
    Skipped(&'static str),
    NotFinite,
    NullInSome,
    TooDeep,
    /// What the type's own `Serialize` said.
    Own(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(field) => write!(
                f,
                "the field `{field}` is left out by `skip_serializing_if`, and the fields after it would be read in its \
                 place; use `codec = \"msgpack\"` or `\"json\"`, or drop the attribute"
            ),
            Self::NotFinite => f.write_str(
                "has no NaN or infinity and would write null; use `codec = \"bincode\"`, `\"postcard\"` or `\"msgpack\"`",
            ),
            Self::NullInSome => f.write_str(
                "cannot tell `Some` of an empty value (`Some(None)`, `Some(())`) from `None`; use `codec = \"bincode\"` or \
                 `\"postcard\"`",
            ),
            Self::TooDeep => write!(f, "the value is nested more than {MAX_DEPTH} levels deep"),
            Self::Own(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Refusal {}

impl ser::Error for Refusal {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::Own(message.to_string())
    }
}

/// Tags that keep values of different kinds apart in the digest.
#[derive(Clone, Copy)]
enum Tag {
    Bool = 1,
    Signed,
    Unsigned,
    F32,
    F64,
    Char,
    Str,
    Bytes,
    None,
    Some,
    Unit,
    Variant,
    Ordered,
    Unordered,
}

fn leaf(tag: Tag, width: usize, bits: u128) -> Node {
    let seed = step(tag as u64, width as u64);
    Node {
        digest: step(step(seed, bits as u64), (bits >> 64) as u64),
        null: false,
    }
}

impl Survey {
    fn deeper(self) -> Result<Self, Refusal> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            Err(Refusal::TooDeep)
        } else {
            Ok(Self { depth, ..self })
        }
    }

    fn positional(self) -> bool {
        matches!(self.kind, CodecKind::Bincode | CodecKind::Postcard)
    }

    fn finite(self, finite: bool) -> Result<(), Refusal> {
        if finite || self.kind != CodecKind::Json {
            Ok(())
        } else {
            Err(Refusal::NotFinite)
        }
    }

    fn parts(self, tag: Tag) -> Result<Parts, Refusal> {
        Ok(Parts {
            inside: self.deeper()?,
            tag,
            digest: tag as u64,
            key: 0,
        })
    }

    /// As [`parts`](Self::parts), one level deeper, for JSON writes such a variant as a value inside an object.
    fn variant(self, variant: &str) -> Result<Parts, Refusal> {
        let mut parts = self.deeper()?.parts(Tag::Ordered)?;
        parts.digest = named(variant);
        Ok(parts)
    }
}

fn named(variant: &str) -> u64 {
    checksum(Tag::Variant as u64, variant.as_bytes())
}

macro_rules! integers {
    ($tag:expr, $wide:ty: $($method:ident($type:ty))*) => {$(
        fn $method(self, value: $type) -> Result<Node, Refusal> {
            Ok(leaf($tag, size_of::<$type>(), <$wide>::from(value) as u128))
        }
    )*};
}

impl Serializer for Survey {
    type Ok = Node;
    type Error = Refusal;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    integers! { Tag::Bool, u128: serialize_bool(bool) }
    integers! {
        Tag::Signed, i128:
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
    }
    integers! {
        Tag::Unsigned, u128:
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }

    fn serialize_f32(self, value: f32) -> Result<Node, Refusal> {
        self.finite(value.is_finite())?;
        Ok(leaf(Tag::F32, 4, value.to_bits().into()))
    }

    fn serialize_f64(self, value: f64) -> Result<Node, Refusal> {
        self.finite(value.is_finite())?;
        Ok(leaf(Tag::F64, 8, value.to_bits().into()))
    }

    fn serialize_char(self, value: char) -> Result<Node, Refusal> {
        Ok(leaf(Tag::Char, 4, u32::from(value).into()))
    }

    fn serialize_str(self, value: &str) -> Result<Node, Refusal> {
        Ok(Node {
            digest: checksum(Tag::Str as u64, value.as_bytes()),
            null: false,
        })
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Node, Refusal> {
        Ok(Node {
            digest: checksum(Tag::Bytes as u64, value),
            null: false,
        })
    }

    fn serialize_none(self) -> Result<Node, Refusal> {
        Ok(Node {
            null: true,
            ..leaf(Tag::None, 0, 0)
        })
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Node, Refusal> {
        let inner = value.serialize(self.deeper()?)?;
        if inner.null && !self.positional() {
            return Err(Refusal::NullInSome);
        }
        Ok(leaf(Tag::Some, 0, inner.digest.into()))
    }

    fn serialize_unit(self) -> Result<Node, Refusal> {
        Ok(Node {
            null: true,
            ..leaf(Tag::Unit, 0, 0)
        })
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Node, Refusal> {
        // MessagePack writes an empty array, which is not its null.
        Ok(Node {
            null: self.kind == CodecKind::Json,
            ..leaf(Tag::Unit, 0, 0)
        })
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Node, Refusal> {
        Ok(Node {
            digest: named(variant),
            null: false,
        })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Node, Refusal> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Node, Refusal> {
        let inner = value.serialize(self.deeper()?)?;
        Ok(Node {
            digest: step(named(variant), inner.digest),
            null: false,
        })
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Parts, Refusal> {
        self.parts(Tag::Unordered)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Parts, Refusal> {
        self.parts(Tag::Ordered)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Parts, Refusal> {
        self.parts(Tag::Ordered)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts, Refusal> {
        self.variant(variant)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Parts, Refusal> {
        self.parts(Tag::Unordered)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Parts, Refusal> {
        self.parts(Tag::Ordered)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Parts, Refusal> {
        self.variant(variant)
    }

    fn is_human_readable(&self) -> bool {
        self.kind == CodecKind::Json
    }
}

/// A compound value, part by part.
struct Parts {
    inside: Survey,
    tag: Tag,
    digest: u64,
    key: u64,
}

impl Parts {
    fn add(&mut self, part: u64) {
        self.digest = match self.tag {
            // The step before the sum: a sum of bare digests would be as good as a sum of small numbers.
            Tag::Unordered => self.digest.wrapping_add(step(Tag::Unordered as u64, part)),
            _ => step(self.digest, part),
        };
    }

    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        let node = value.serialize(self.inside)?;
        self.add(node.digest);
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refusal> {
        self.add(checksum(Tag::Str as u64, name.as_bytes()));
        self.part(value)
    }

    fn skipped(&self, name: &'static str) -> Result<(), Refusal> {
        if self.inside.positional() {
            Err(Refusal::Skipped(name))
        } else {
            Ok(())
        }
    }

    fn sum(self) -> Result<Node, Refusal> {
        Ok(Node {
            digest: step(self.tag as u64, self.digest),
            null: false,
        })
    }
}

macro_rules! in_order {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for Parts {
            type Ok = Node;
            type Error = Refusal;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
                self.part(value)
            }

            fn end(self) -> Result<Node, Refusal> {
                self.sum()
            }
        }
    )*};
}

in_order! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! by_name {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Parts {
            type Ok = Node;
            type Error = Refusal;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Refusal> {
                self.field(name, value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Refusal> {
                self.skipped(name)
            }

            fn end(self) -> Result<Node, Refusal> {
                self.sum()
            }
        }
    )*};
}

by_name! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Parts {
    type Ok = Node;
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refusal> {
        self.key = key.serialize(self.inside)?.digest;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        let pair = step(self.key, value.serialize(self.inside)?.digest);
        self.add(pair);
        Ok(())
    }

    fn end(self) -> Result<Node, Refusal> {
        self.sum()
    }
}
