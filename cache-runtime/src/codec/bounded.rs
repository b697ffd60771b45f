//! Bounds around a codec's deserializer, for bytes that anyone may have written.
//!
//! Three claims can cost far more than the bytes that make them: a length that is allocated before it is read (bincode's strings;
//! any collection that believes its size hint), a count of elements that take no bytes at all, and nesting. So strings are always read
//! as slices of the input, all hints of a value together never exceed the input, elements without bytes are counted, and depth is limited.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::MAX_DEPTH;
use crate::mutants::{self, Mutant};

/// How many elements that take no bytes (units, empty structs) all sequences of a value may have together.
const EMPTY_ELEMENTS: usize = 1 << 16;

/// What is left for one value.
pub(super) struct Limits {
    depth: Cell<u32>,
    elements: Cell<usize>,
    /// How many elements room may be made for before they are read: each takes a byte, so a true value has no more of them, and one whose
    /// every level claims the whole input gets its room once.
    room: Cell<usize>,
}

impl Limits {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            // One more than a writer may use: a leaf that is read as "any" type counts as a level.
            depth: Cell::new(MAX_DEPTH + 1),
            elements: Cell::new(bytes.len().saturating_add(EMPTY_ELEMENTS)),
            room: Cell::new(bytes.len()),
        }
    }

    fn nested<R, E: Error>(&self, inside: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        let left = self.depth.get();
        if left == 0 {
            return Err(E::custom("nested too deeply"));
        }
        self.depth.set(left - 1);
        let result = inside();
        self.depth.set(left);
        result
    }

    fn element<E: Error>(&self) -> Result<(), E> {
        match self.elements.get().checked_sub(1) {
            Some(left) => {
                self.elements.set(left);
                Ok(())
            }
            None => Err(E::custom("more elements than bytes")),
        }
    }

    fn hint(&self, claimed: Option<usize>) -> Option<usize> {
        if mutants::on(Mutant::ClaimedLengthBelieved) {
            return claimed;
        }
        let room = claimed?.min(self.room.get());
        self.room.set(self.room.get() - room);
        Some(room)
    }
}

/// The seed that starts a bounded read of a `T`.
pub(super) struct Root<'l, T>(&'l Limits, PhantomData<T>);

impl<'l, T> Root<'l, T> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self(limits, PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Root<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        T::deserialize(Bounded {
            inner,
            limits: self.0,
        })
    }
}

/// A deserializer, seed or access of the codec's, with the limits.
struct Bounded<'l, D> {
    inner: D,
    limits: &'l Limits,
}

/// A visitor that hands the limits on to what it visits.
struct Watch<'l, V> {
    visitor: V,
    limits: &'l Limits,
    /// Whether the input says how many elements there are; otherwise the type does.
    counted: bool,
}

struct Elements<'l, A> {
    inner: A,
    limits: &'l Limits,
    counted: bool,
}

macro_rules! scalars {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

/// Compound types: one level deeper.
macro_rules! compounds {
    ($($counted:literal $method:ident($($name:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let Self { inner, limits } = self;
            limits.nested(|| inner.$method($($name,)* Watch { visitor, limits, counted: $counted }))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_bytes
        deserialize_unit deserialize_identifier
    }

    compounds! {
        true deserialize_any();
        true deserialize_ignored_any();
        true deserialize_seq();
        true deserialize_map();
        false deserialize_option();
        false deserialize_tuple(len: usize);
        false deserialize_tuple_struct(name: &'static str, len: usize);
        false deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        false deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    /// As a slice: bincode allocates an owned string by the claimed length, before it looks for the bytes.
    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    /// Not a level of its own: a type that is nothing but newtypes of itself has no values.
    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let limits = self.limits;
        self.inner.deserialize_newtype_struct(
            name,
            Watch {
                visitor,
                limits,
                counted: true,
            },
        )
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! values {
    ($($method:ident($type:ty))*) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watch<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    values! {
        visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128)
        visit_f32(f32) visit_f64(f64) visit_char(char)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
        visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Bounded {
            inner,
            limits: self.limits,
        })
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Bounded {
            inner,
            limits: self.limits,
        })
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Self {
            visitor,
            limits,
            counted,
        } = self;
        visitor.visit_seq(Elements {
            inner,
            limits,
            counted,
        })
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Self {
            visitor,
            limits,
            counted,
        } = self;
        visitor.visit_map(Elements {
            inner,
            limits,
            counted,
        })
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Bounded {
            inner,
            limits: self.limits,
        })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Bounded {
            inner,
            limits: self.limits,
        })
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        if self.counted {
            self.limits.element()?;
        }
        self.inner.next_element_seed(Bounded {
            inner: seed,
            limits: self.limits,
        })
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.limits.hint(self.inner.size_hint())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        if self.counted {
            self.limits.element()?;
        }
        self.inner.next_key_seed(Bounded {
            inner: seed,
            limits: self.limits,
        })
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Bounded {
            inner: seed,
            limits: self.limits,
        })
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.limits.hint(self.inner.size_hint())
    }
}

impl<'l, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'l, A> {
    type Error = A::Error;
    type Variant = Bounded<'l, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (tag, inner) = self.inner.variant_seed(seed)?;
        Ok((
            tag,
            Bounded {
                inner,
                limits: self.limits,
            },
        ))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Bounded {
            inner: seed,
            limits: self.limits,
        })
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(
            len,
            Watch {
                visitor,
                limits: self.limits,
                counted: false,
            },
        )
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(
            fields,
            Watch {
                visitor,
                limits: self.limits,
                counted: false,
            },
        )
    }
}
