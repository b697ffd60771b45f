//! Writes a key piece by piece, escaping every value.

use super::text::Text;
use super::{Key, KeyPart};

/// Writes the text of a key.
///
/// Literal text goes in as it is. A value is escaped so that it can hold none of the characters that a template
/// may use to keep its placeholders apart; sequences such as `%!`, which no escape of a character can spell, mark
/// the empty string, `None` and the bounds of lists.
///
/// | value | written |
/// | --- | --- |
/// | `:` `%` `<` `>` `{` `}` `*` and controls | `%` and two hexadecimal digits for each byte |
/// | the empty string | `%~` |
/// | `None` | `%!`, and a further `!` for each `Some` around it |
/// | a list or tuple | `%(`, each element and `%,`, then `%)` |
pub struct KeyWriter {
    key: Key,
}

impl Default for KeyWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for KeyWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "KeyWriter({:?})",
            String::from_utf8_lossy(self.key.0.as_bytes())
        )
    }
}

impl KeyWriter {
    /// An empty key.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self {
            key: Key(Text::new()),
        }
    }

    /// Adds literal text of a template, unescaped.
    #[inline]
    pub fn literal(&mut self, text: &str) {
        self.key.0.push(text.as_bytes());
    }

    /// Adds a value.
    #[inline]
    pub fn part<P: KeyPart + ?Sized>(&mut self, value: &P) {
        value.write_key(self);
    }

    /// Adds a value's text, escaped. This is what an implementation of [`KeyPart`] calls for a type whose text is
    /// stable and different for different values.
    #[inline]
    pub fn text(&mut self, text: &str) {
        if text.is_empty() {
            return self.mark(b"%~");
        }
        let bytes = text.as_bytes();
        let mut clean = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if is_reserved(byte) {
                self.key.0.push(&bytes[clean..at]);
                self.escape(byte);
                clean = at + 1;
            }
        }
        self.key.0.push(&bytes[clean..]);
    }

    /// The key as written so far.
    #[must_use]
    #[inline]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The finished key.
    #[must_use]
    #[inline]
    pub fn finish(self) -> Key {
        self.key
    }

    /// Adds an integer: its text holds nothing to escape.
    #[inline]
    pub(super) fn integer<I: itoa::Integer>(&mut self, value: I) {
        self.key
            .0
            .push(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Adds a number, without a detour.
    #[inline]
    pub(super) fn decimal(&mut self, value: u64) {
        self.key.0.push_decimal(value);
    }

    pub(super) fn mark(&mut self, mark: &[u8]) {
        self.key.0.push(mark);
    }

    /// Writes `Some(value)`: if the value's own text says `None`, one `!` more tells the two apart.
    pub(super) fn some<P: KeyPart + ?Sized>(&mut self, value: &P) {
        let start = self.key.0.len();
        value.write_key(self);
        if self.key.0.as_bytes()[start..].starts_with(b"%!") {
            self.key.0.insert(start + 2, b'!');
        }
    }

    /// Writes a list; each element is ended by a mark, so that an empty list and a list of one empty element differ.
    pub(super) fn list<'p, P: KeyPart + ?Sized + 'p>(
        &mut self,
        elements: impl IntoIterator<Item = &'p P>,
    ) {
        self.mark(b"%(");
        for element in elements {
            self.element(element);
        }
        self.mark(b"%)");
    }

    pub(super) fn element<P: KeyPart + ?Sized>(&mut self, element: &P) {
        element.write_key(self);
        self.mark(b"%,");
    }

    #[cold]
    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        self.mark(&[
            b'%',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]);
    }
}

/// ASCII only: bytes of multi-byte characters are never touched, so the text stays UTF-8.
/// U+0080 to U+009F are controls too, but no template can hold them as a separator.
pub(crate) const fn is_reserved(byte: u8) -> bool {
    matches!(
        byte,
        b':' | b'%' | b'<' | b'>' | b'{' | b'}' | b'*' | 0..=0x1f | 0x7f
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key<P: KeyPart>(value: P) -> String {
        let mut writer = KeyWriter::new();
        writer.part(&value);
        writer.finish().to_string()
    }

    #[test]
    fn reserved_characters_are_escaped_and_others_are_not() {
        assert_eq!(key("a:b%c*{d}<e>\n"), "a%3Ab%25c%2A%7Bd%7D%3Ce%3E%0A");
        assert_eq!(key("straße 1/2 @x"), "straße 1/2 @x");
    }

    #[test]
    fn marks_tell_empty_none_and_nested_options_apart() {
        assert_eq!(key(""), "%~");
        assert_eq!(key(None::<&str>), "%!");
        assert_eq!(key(Some("")), "%~");
        assert_eq!(key(Some(None::<u8>)), "%!!");
        assert_eq!(key(Some(Some(None::<u8>))), "%!!!");
    }

    #[test]
    fn lists_of_nothing_and_of_an_empty_string_differ() {
        assert_eq!(key(Vec::<String>::new()), "%(%)");
        assert_eq!(key(vec![""]), "%(%~%,%)");
        assert_eq!(key(("a", 1_u8)), "%(a%,1%,%)");
    }
}
