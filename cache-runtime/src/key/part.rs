//! Which types may stand in a key, and how each is written.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use super::KeyWriter;

/// A type with one stable text form, so that it may stand in a key.
///
/// Integers, `bool`, `char`, strings, IP addresses, `Option`, references and smart pointers, slices, arrays,
/// vectors, ordered sets and tuples of those have it. Floats have not (`0.0` and `-0.0` are equal, `NaN` is not equal to
/// itself), nor have hash maps and hash sets, whose order changes. Where the type is not yours, name a field of it in the
/// template (`<user.id>`); where it is, implement this trait. Two values that differ must write text that differs:
///
/// ```
/// use cache_runtime::{KeyPart, KeyWriter};
///
/// struct Sku { maker: u32, number: String }
///
/// impl KeyPart for Sku {
///     fn write_key(&self, key: &mut KeyWriter) {
///         (self.maker, &self.number).write_key(key);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "has no one stable text form",
    note = "name a field of it in the template, as in `<user.id>`, leave it out of the template or `skip` it, or implement `cache_runtime::KeyPart` for it"
)]
pub trait KeyPart {
    /// Writes the value. What is written must not begin with text of its own that escapes to nothing: use
    /// [`KeyWriter::text`] for text and [`KeyWriter::part`] for parts that have an implementation.
    fn write_key(&self, key: &mut KeyWriter);
}

macro_rules! integers {
    ($($int:ty)*) => {$(
        impl KeyPart for $int {
            #[inline]
            fn write_key(&self, key: &mut KeyWriter) { key.integer(*self); }
        }
        impl KeyPart for NonZero<$int> {
            #[inline]
            fn write_key(&self, key: &mut KeyWriter) { key.integer(self.get()); }
        }
    )*};
}
integers!(u128 usize i8 i16 i32 i64 i128 isize);

/// The types that most keys are made of.
macro_rules! unsigned {
    ($($int:ty)*) => {$(
        impl KeyPart for $int {
            #[inline]
            fn write_key(&self, key: &mut KeyWriter) { key.decimal(u64::from(*self)); }
        }
        impl KeyPart for NonZero<$int> {
            #[inline]
            fn write_key(&self, key: &mut KeyWriter) { key.decimal(u64::from(self.get())); }
        }
    )*};
}
unsigned!(u8 u16 u32 u64);

impl KeyPart for bool {
    fn write_key(&self, key: &mut KeyWriter) {
        key.text(if *self { "true" } else { "false" });
    }
}

impl KeyPart for char {
    fn write_key(&self, key: &mut KeyWriter) {
        key.text(self.encode_utf8(&mut [0; 4]));
    }
}

impl KeyPart for str {
    #[inline]
    fn write_key(&self, key: &mut KeyWriter) {
        key.text(self);
    }
}

impl KeyPart for String {
    #[inline]
    fn write_key(&self, key: &mut KeyWriter) {
        key.text(self);
    }
}

impl KeyPart for super::Key {
    fn write_key(&self, key: &mut KeyWriter) {
        key.text(self);
    }
}

macro_rules! by_display {
    ($($addr:ty)*) => {$(
        impl KeyPart for $addr {
            fn write_key(&self, key: &mut KeyWriter) { key.text(&self.to_string()); }
        }
    )*};
}
by_display!(IpAddr Ipv4Addr Ipv6Addr);

macro_rules! pointers {
    ($($pointer:ty)*) => {$(
        impl<T: KeyPart + ?Sized> KeyPart for $pointer {
            #[inline]
            fn write_key(&self, key: &mut KeyWriter) { (**self).write_key(key); }
        }
    )*};
}
pointers!(&T &mut T Box<T> Rc<T> Arc<T>);

impl<T: KeyPart + ToOwned + ?Sized> KeyPart for Cow<'_, T> {
    fn write_key(&self, key: &mut KeyWriter) {
        (**self).write_key(key);
    }
}

impl<T: KeyPart> KeyPart for Option<T> {
    fn write_key(&self, key: &mut KeyWriter) {
        match self {
            Some(value) => key.some(value),
            None => key.mark(b"%!"),
        }
    }
}

impl<T: KeyPart> KeyPart for [T] {
    fn write_key(&self, key: &mut KeyWriter) {
        key.list(self);
    }
}

impl<T: KeyPart, const N: usize> KeyPart for [T; N] {
    fn write_key(&self, key: &mut KeyWriter) {
        key.list(self);
    }
}

impl<T: KeyPart> KeyPart for Vec<T> {
    fn write_key(&self, key: &mut KeyWriter) {
        key.list(self);
    }
}

impl<T: KeyPart> KeyPart for VecDeque<T> {
    fn write_key(&self, key: &mut KeyWriter) {
        key.list(self);
    }
}

impl<T: KeyPart> KeyPart for BTreeSet<T> {
    fn write_key(&self, key: &mut KeyWriter) {
        key.list(self);
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*))*) => {$(
        impl<$($name: KeyPart),*> KeyPart for ($($name,)*) {
            fn write_key(&self, key: &mut KeyWriter) {
                key.mark(b"%(");
                $(key.element(&self.$index);)*
                key.mark(b"%)");
            }
        }
    )*};
}
tuples! {
    ()
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

/// A collection whose elements make one key each, as in `<ids[]>`.
///
/// Hash sets are welcome here: the order of the keys does not matter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no elements to make keys of",
    label = "not a slice, vector, set or option",
    note = "`<name[]>` stands for each element of an iterable argument; write `<name>` for the value itself"
)]
pub trait KeyElements {
    /// What each key is made of.
    type Element: ?Sized;

    /// The elements.
    fn elements(&self) -> impl Iterator<Item = &Self::Element>;
}

impl<T: KeyElements + ?Sized> KeyElements for &T {
    type Element = T::Element;
    fn elements(&self) -> impl Iterator<Item = &T::Element> {
        (**self).elements()
    }
}

impl<T, const N: usize> KeyElements for [T; N] {
    type Element = T;
    fn elements(&self) -> impl Iterator<Item = &T> {
        self.iter()
    }
}

macro_rules! elements {
    ($($collection:ty),*) => {$(
        impl<T> KeyElements for $collection {
            type Element = T;
            fn elements(&self) -> impl Iterator<Item = &T> { self.iter() }
        }
    )*};
}
elements!([T], Vec<T>, VecDeque<T>, BTreeSet<T>, Option<T>);

impl<T, S> KeyElements for HashSet<T, S> {
    type Element = T;
    fn elements(&self) -> impl Iterator<Item = &T> {
        self.iter()
    }
}
