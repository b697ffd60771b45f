//! Cache keys: text that tells every two argument lists apart.

pub(crate) mod hash;
mod parse;
mod part;
mod text;
mod writer;

pub use parse::{FromKeyPart, KeyText};
pub use part::{KeyElements, KeyPart};
pub use writer::KeyWriter;
pub(crate) use writer::is_reserved;

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use text::Text;

/// The key of one entry, without the cache's namespace.
///
/// Made by `load_user::key(42)`, by the macros, or from text that you already have:
///
/// ```
/// use cache_runtime::Key;
///
/// let key = Key::from("user:42");
/// assert_eq!(key.as_str(), "user:42");
/// ```
#[derive(Clone)]
pub struct Key(Text);

impl Key {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ever built from `str`, and never cut. The empty string stands in for the impossible.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The key as bytes.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        let mut key = Text::new();
        key.push(text.as_bytes());
        Self(key)
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

impl Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Key {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
