//! The name of one load or one write.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::sync::Lazy;

/// Names one load or one write among all of all processes: a random number of the process and a count within it.
///
/// Tokens tell holders apart; they guard against mistakes, not against attackers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    process: u64,
    count: u64,
}

impl Token {
    /// A token that was never given before.
    #[must_use]
    pub fn fresh() -> Self {
        static PROCESS: Lazy<u64> = Lazy::new(|| {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u32(std::process::id());
            hasher.finish()
        });
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self {
            process: *PROCESS,
            count: COUNT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// A token with these parts, for a backend that reads one back from its store.
    #[must_use]
    pub const fn from_parts(process: u64, count: u64) -> Self {
        Self { process, count }
    }

    /// The 32 hexadecimal digits that [`Display`](fmt::Display) writes, read back. `None` if they are not a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let (process, count) = text.split_at(16);
        Some(Self {
            process: u64::from_str_radix(process, 16).ok()?,
            count: u64::from_str_radix(count, 16).ok()?,
        })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.process, self.count)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_survive_their_text_form() {
        let (a, b) = (Token::fresh(), Token::fresh());
        assert_ne!(a, b);
        assert_eq!(Token::parse(&a.to_string()), Some(a));
        assert_eq!(Token::parse("zz"), None);
        assert_eq!(Token::parse(&"é".repeat(16)), None);
    }
}
