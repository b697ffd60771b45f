//! Keys read back: the text of a value, and the values that can be told from it.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZero;
use std::str::FromStr;
use std::sync::Arc;

use super::{Key, KeyPart, KeyWriter, is_reserved};

/// What the writer puts before each mark and each escaped byte.
const ESCAPE: u8 = b'%';

/// The text of one value in a key, as [`KeyWriter`] wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyText<'k>(&'k str);

impl<'k> KeyText<'k> {
    /// The text of a value, as it stands in a key.
    #[must_use]
    pub fn new(text: &'k str) -> Self {
        Self(text)
    }

    /// As it stands in the key, with its escapes.
    #[must_use]
    pub fn as_str(&self) -> &'k str {
        self.0
    }

    /// What was given to [`KeyWriter::text`]; `None` if this was not written by it.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'k, str>> {
        let written = self.0;
        if written == "%~" {
            return Some(Cow::Borrowed(""));
        }
        if written.is_empty() {
            return None;
        }
        if !written.bytes().any(is_reserved) {
            return Some(Cow::Borrowed(written));
        }
        let mut bytes = Vec::with_capacity(written.len());
        let mut rest = written.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                ESCAPE => bytes.push(escaped(rest.next()?, rest.next()?)?),
                byte if is_reserved(byte) => return None,
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).ok().map(Cow::Owned)
    }

    /// The texts of the elements of a list or tuple; `None` if this is none.
    #[must_use]
    pub fn elements(&self) -> Option<Vec<KeyText<'k>>> {
        let inner = self.0.strip_prefix("%(")?.strip_suffix("%)")?;
        let mut elements = Vec::new();
        let (mut start, mut depth) = (0, 0_usize);
        for (at, _) in inner.match_indices('%') {
            match inner.as_bytes().get(at + 1)? {
                b'(' => depth += 1,
                b')' => depth = depth.checked_sub(1)?,
                b',' if depth == 0 => {
                    elements.push(KeyText(&inner[start..at]));
                    start = at + 2;
                }
                _ => {}
            }
        }
        (depth == 0 && start == inner.len()).then_some(elements)
    }

    /// A value of the type, if there is one that is written like this.
    #[must_use]
    pub fn parse<T: FromKeyPart>(&self) -> Option<T> {
        let value = T::from_key(*self)?;
        // A key has one spelling: what could be read in two is not taken for either.
        let mut writer = KeyWriter::new();
        writer.part(&value);
        (writer.key() == self.0).then_some(value)
    }
}

/// The byte that two digits of an escape stand for, if it is one that is escaped.
fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let byte = digit(high)? << 4 | digit(low)?;
    is_reserved(byte).then_some(byte)
}

/// A type whose values can be read back from a key: what an argument of a read-through loader has to be, as the cache runs such a loader from
/// its key alone.
///
/// Integers, `bool`, `char`, owned strings, IP addresses, and options, vectors, arrays, ordered sets, smart pointers and tuples of those can. A
/// text that the value would not have been written as, such as `007` for `7`, is refused by the cache, whatever this says: a key has one spelling.
///
/// ```
/// use cache_runtime::{FromKeyPart, KeyPart, KeyText, KeyWriter};
///
/// #[derive(Clone)]
/// struct Sku { maker: u32, number: String }
///
/// impl KeyPart for Sku {
///     fn write_key(&self, key: &mut KeyWriter) {
///         (self.maker, &self.number).write_key(key);
///     }
/// }
///
/// impl FromKeyPart for Sku {
///     fn from_key(text: KeyText<'_>) -> Option<Self> {
///         let (maker, number) = text.parse()?;
///         Some(Self { maker, number })
///     }
/// }
/// ```
pub trait FromKeyPart: KeyPart + Sized {
    /// The value that was written as this text; `None` if there is none.
    fn from_key(text: KeyText<'_>) -> Option<Self>;
}

fn by_text<T: FromStr>(text: KeyText<'_>) -> Option<T> {
    text.text()?.parse().ok()
}

macro_rules! by_text {
    ($($ty:ty)*) => {$(
        impl FromKeyPart for $ty {
            fn from_key(text: KeyText<'_>) -> Option<Self> {
                by_text(text)
            }
        }
    )*};
}
by_text!(bool char IpAddr Ipv4Addr Ipv6Addr);

macro_rules! integers {
    ($($int:ty)*) => {
        by_text!($($int)*);
        $(by_text!(NonZero<$int>);)*
    };
}
integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

macro_rules! strings {
    ($($string:ty)*) => {$(
        impl FromKeyPart for $string {
            fn from_key(text: KeyText<'_>) -> Option<Self> {
                Some(Self::from(&*text.text()?))
            }
        }
    )*};
}
strings!(String Box<str> Arc<str> Key);

impl FromKeyPart for Cow<'_, str> {
    fn from_key(text: KeyText<'_>) -> Option<Self> {
        Some(Cow::Owned(text.text()?.into_owned()))
    }
}

impl<T: FromKeyPart> FromKeyPart for Option<T> {
    fn from_key(text: KeyText<'_>) -> Option<Self> {
        match text.0.strip_prefix("%!") {
            Some("") => Some(None),
            // A `None` in a `Some`: one `!` is this one's.
            Some(inner) => {
                let inner = format!("%{inner}");
                KeyText(&inner).parse().map(Some)
            }
            None => text.parse().map(Some),
        }
    }
}

macro_rules! pointers {
    ($($pointer:ident)*) => {$(
        impl<T: FromKeyPart> FromKeyPart for $pointer<T> {
            fn from_key(text: KeyText<'_>) -> Option<Self> {
                T::from_key(text).map(Self::new)
            }
        }
    )*};
}
pointers!(Box Arc);

macro_rules! lists {
    ($($list:ty: $also:path),*) => {$(
        impl<T: FromKeyPart + $also> FromKeyPart for $list {
            fn from_key(text: KeyText<'_>) -> Option<Self> {
                text.elements()?.iter().map(KeyText::parse).collect()
            }
        }
    )*};
}
lists!(Vec<T>: KeyPart, VecDeque<T>: KeyPart, Box<[T]>: KeyPart, Arc<[T]>: KeyPart, BTreeSet<T>: Ord);

impl<T: FromKeyPart, const N: usize> FromKeyPart for [T; N] {
    fn from_key(text: KeyText<'_>) -> Option<Self> {
        Vec::<T>::from_key(text)?.try_into().ok()
    }
}

macro_rules! tuples {
    ($(($($name:ident),*))*) => {$(
        impl<$($name: FromKeyPart),*> FromKeyPart for ($($name,)*) {
            fn from_key(text: KeyText<'_>) -> Option<Self> {
                let elements = text.elements()?;
                let mut elements = elements.iter();
                let value = ($(elements.next()?.parse::<$name>()?,)*);
                elements.next().is_none().then_some(value)
            }
        }
    )*};
}
tuples! {
    ()
    (A)
    (A, B)
    (A, B, C)
    (A, B, C, D)
    (A, B, C, D, E)
    (A, B, C, D, E, F)
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn written<P: KeyPart>(value: &P) -> String {
        let mut writer = KeyWriter::new();
        writer.part(value);
        writer.finish().to_string()
    }

    fn survives<T: FromKeyPart + PartialEq + Debug>(value: T) {
        let text = written(&value);
        assert_eq!(KeyText(&text).parse(), Some(value), "{text}");
    }

    fn refused<T: FromKeyPart + Debug>(text: &str) {
        let parsed: Option<T> = KeyText(text).parse();
        assert!(parsed.is_none(), "{text} was read as {parsed:?}");
    }

    #[test]
    fn what_is_written_is_read() {
        survives(0_u8);
        survives(i128::MIN);
        survives(NonZero::new(7_u32).expect("not zero"));
        survives(true);
        survives(':');
        survives('ß');
        survives(String::new());
        survives("a:b%c*{d}<e>\n straße".to_owned());
        survives(IpAddr::from([127, 0, 0, 1]));
        survives("::1".parse::<Ipv6Addr>().expect("an address"));
        survives(None::<u8>);
        survives(Some(String::new()));
        survives([None, Some(None), Some(Some(None)), Some(Some(Some(7_u8)))]);
        survives(Vec::<u8>::new());
        survives(vec![String::new(), "%,".to_owned(), "%)".to_owned()]);
        survives(BTreeSet::from([3_u8, 1, 2]));
        survives(());
        survives((vec![(1_u8, "a".to_owned())], Some(vec![None::<bool>])));
        survives(Box::new([1_i8, -1]));
        survives(Arc::<str>::from("x"));
    }

    #[test]
    fn what_is_never_written_is_not_read() {
        for text in ["", "007", "+7", "-0", " 7", "7 ", "256", "%37", "%~"] {
            refused::<u8>(text);
        }
        for text in [
            "", "a:b", "%3a", "%41", "%4", "%", "%FF", "a%~", "%!", "*", "\u{7f}",
        ] {
            refused::<String>(text);
        }
        for text in ["%!%!", "!", "%!7", "%!!"] {
            refused::<Option<u8>>(text);
        }
        for text in [
            "%(",
            "%)",
            "%(%",
            "%(1%)",
            "%(1,%)",
            "%(1%,%)%(%)",
            "%(%(%)%)",
            "%(%)%,%)",
            "1",
        ] {
            refused::<Vec<u8>>(text);
        }
        refused::<BTreeSet<u8>>("%(2%,1%,%)");
        refused::<(u8, u8)>("%(1%,%)");
        refused::<(u8, u8)>("%(1%,2%,3%,%)");
        refused::<[u8; 2]>("%(1%,%)");
        refused::<Ipv6Addr>("0:0:0:0:0:0:0:1");
    }
}
