//! The bytes of a key: on the stack as long as they are few.

/// Keys up to this many bytes are built and moved without an allocation.
const INLINE: usize = 63;

/// A byte string that begins on the stack. It is written on every call, so appending is a length check and a copy: no
/// capacity to grow, no branch on where the bytes are but one.
#[derive(Clone)]
pub(super) enum Text {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Vec<u8>),
}

impl Text {
    #[inline]
    pub(super) const fn new() -> Self {
        Self::Inline {
            len: 0,
            bytes: [0; INLINE],
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.as_bytes().len()
    }

    #[inline]
    pub(super) fn push(&mut self, more: &[u8]) {
        match self {
            Self::Inline { len, bytes } => {
                let at = usize::from(*len);
                if let Some(room) = bytes.get_mut(at..at + more.len()) {
                    room.copy_from_slice(more);
                    // Fits: the room was found within `INLINE` bytes.
                    *len += more.len() as u8;
                } else {
                    self.spill(more);
                }
            }
            Self::Heap(bytes) => bytes.extend_from_slice(more),
        }
    }

    /// Appends a number in decimal digits, written where they stay. A formatter would write them to a buffer of its own, and
    /// copying bytes that were written a moment ago costs more than the digits.
    #[inline]
    pub(super) fn push_decimal(&mut self, mut number: u64) {
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        if let Self::Inline { len, bytes } = self {
            let at = usize::from(*len);
            if let Some(room) = bytes.get_mut(at..at + digits) {
                for digit in room.iter_mut().rev() {
                    *digit = b'0' + (number % 10) as u8;
                    number /= 10;
                }
                *len += digits as u8;
                return;
            }
        }
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }

    #[cold]
    fn spill(&mut self, more: &[u8]) {
        let mut heap = Vec::with_capacity((self.len() + more.len()).next_power_of_two());
        heap.extend_from_slice(self.as_bytes());
        heap.extend_from_slice(more);
        *self = Self::Heap(heap);
    }

    /// Puts a byte between others.
    #[cold]
    pub(super) fn insert(&mut self, at: usize, byte: u8) {
        let tail = self.as_bytes()[at..].to_vec();
        let mut whole = Self::new();
        whole.push(&self.as_bytes()[..at]);
        whole.push(&[byte]);
        whole.push(&tail);
        *self = whole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_length_is_kept_whole() {
        for length in [0, 1, 62, 63, 64, 65, 200] {
            let expected: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let mut text = Text::new();
            for byte in &expected {
                text.push(&[*byte]);
            }
            assert_eq!(text.as_bytes(), expected);
            let mut at_once = Text::new();
            at_once.push(&expected);
            assert_eq!(at_once.as_bytes(), expected);
        }
    }

    #[test]
    fn numbers_are_written_like_any_formatter_writes_them() {
        let edges = (0..20).map(|power| 10_u64.pow(power));
        let around = edges.flat_map(|edge| [edge - 1, edge, edge + 1]);
        for number in around.chain([0, u64::MAX]) {
            for before in [0, 40, 50, 62, 63, 64] {
                let mut text = Text::new();
                text.push(&vec![b'x'; before]);
                text.push_decimal(number);
                assert_eq!(&text.as_bytes()[before..], number.to_string().as_bytes());
            }
        }
    }

    #[test]
    fn a_byte_is_inserted_across_the_bound() {
        let mut text = Text::new();
        text.push(&[b'a'; 63]);
        text.insert(10, b'!');
        assert_eq!(text.len(), 64);
        assert_eq!(text.as_bytes()[10], b'!');
    }
}
