//! Values told from bytes, any bytes: a change of some bytes is a change of some values.

/// Characters that separate, escape or mark in a key, that are mistaken for such, and a few others.
const CHARACTERS: [char; 32] = [
    ':', '%', '<', '>', '{', '}', '*', ',', '!', '~', '(', ')', '-', '/', ' ', 'a', 'b', '0', '1',
    '2', '5', 'A', 'N', 'F', '\0', '\n', '\x7f', '\u{85}', 'ß', 'é', '日', '🦀',
];

/// Bytes that are read from their beginning; at their end there are zeros.
pub(super) struct Source<'b>(pub(super) &'b [u8]);

impl Source<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Less than the bound, which is at most 256.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(super) fn number(&mut self) -> u64 {
        let width = self.below(9);
        (0..width).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    pub(super) fn character(&mut self) -> char {
        match self.byte() {
            // Any character at all.
            255 => char::from_u32((self.number() % 0x11_0000) as u32).unwrap_or('\u{fffd}'),
            byte => CHARACTERS[usize::from(byte) % CHARACTERS.len()],
        }
    }

    pub(super) fn text(&mut self, most: usize) -> String {
        let length = self.below(most + 1);
        (0..length).map(|_| self.character()).collect()
    }

    pub(super) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }

    pub(super) fn option<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.byte().is_multiple_of(4)).then(|| value(self))
    }

    pub(super) fn list<T>(&mut self, most: usize, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.below(most + 1);
        (0..length).map(|_| value(self)).collect()
    }
}
