//! Values as a backend keeps them, and what is known of their time.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::tags::Basis;
use crate::entry::header::{self, IDENTITY};

/// A value as a backend keeps it.
#[derive(Clone)]
pub enum Stored {
    /// A value of this process.
    Typed(Typed),
    /// The bytes of an entry.
    Encoded(Encoded),
}

impl Stored {
    /// Tells this value from whatever else is stored under its key, before or after it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let mut mark = [0; 16];
        match self {
            Self::Typed(typed) => {
                let address = Arc::as_ptr(&typed.value).cast::<()>() as usize as u64;
                mark[..8].copy_from_slice(&address.to_le_bytes());
                // A loader may return one long-lived `Arc` again and again.
                let times = typed.life.load_time ^ typed.life.ttl.rotate_left(32);
                mark[8..].copy_from_slice(&times.to_le_bytes());
            }
            Self::Encoded(entry) => {
                let found = entry.bytes.get(IDENTITY.start..).unwrap_or_default();
                let length = found.len().min(mark.len());
                mark[..length].copy_from_slice(&found[..length]);
            }
        }
        Mark(mark)
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(_) => f.write_str("Typed"),
            Self::Encoded(entry) => write!(f, "Encoded({} bytes)", entry.bytes.len()),
        }
    }
}

/// Tells one stored value of a key from the next: [`Stored::mark`].
///
/// Of a typed value it is its address with its TTL and load time, of an entry its bytes `8..24`, with zeros after the end of a shorter one. Two values of one mark are
/// possible; that costs a load too many, never a wrong value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark([u8; 16]);

impl Mark {
    /// The bytes, for a backend that compares them where its entries are.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// An entry that any process can read.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Its bytes. `8..16` are the backend's to overwrite, when it stores the entry, with the time of its own clock in milliseconds,
    /// little-endian; and where [`basis`](Self::basis) tells no `since`, `56..64` with what the clock of the tags says. The rest it keeps as it is.
    pub bytes: Bytes,
    /// How long ago the backend stored it, by the clock of that stamp: rather too much than too little. Means nothing in an entry that is
    /// to be stored.
    pub age: Duration,
}

impl Encoded {
    /// An entry to be stored.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            age: Duration::ZERO,
        }
    }

    /// The entry, this long after it was stored.
    #[must_use]
    pub const fn aged(bytes: Bytes, age: Duration) -> Self {
        Self { bytes, age }
    }

    /// What the entry depends on; `None` for bytes that are no entry. Its tags are those that the bytes tell, which may be damaged: only a reader who
    /// knows the type sees that.
    #[must_use]
    pub fn basis(&self) -> Option<Basis> {
        header::basis(&self.bytes)
    }

    /// The stamp, in milliseconds of the backend's clock; `None` for bytes too short to have one.
    #[must_use]
    pub fn stamp(&self) -> Option<u64> {
        let stamp = self.bytes.get(crate::entry::header::STAMP)?;
        Some(u64::from_le_bytes(stamp.try_into().ok()?))
    }
}

/// A value of any type, shared.
pub type SharedValue = Arc<dyn Any + Send + Sync>;

/// A value of this process with what the cache knows about it.
#[derive(Debug, Clone)]
pub struct Typed {
    /// The value. That of a function which returns `Arc<T>` is the `T`: a hit hands out the very pointer that is stored.
    pub value: SharedValue,
    /// Its times. A backend gives them back with the age of the value.
    pub life: Life,
    /// What a value to be stored depends on; `None` for one that is as new as the operation and has no tags. What a backend gives back need not have
    /// it.
    pub basis: Option<Arc<Basis>>,
}

impl Typed {
    /// A value as new as the operation that stores it, without tags.
    #[must_use]
    pub const fn new(value: SharedValue, life: Life) -> Self {
        Self {
            value,
            life,
            basis: None,
        }
    }
}

/// The times of a value: how long it is good for, and how old it is. In nanoseconds; what is longer than 584 years is that long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub(crate) ttl: u64,
    /// `u64::MAX` for none.
    pub(crate) soft: u64,
    pub(crate) load_time: u64,
    pub(crate) age: u64,
}

pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Life {
    /// Of a new value that may be served for `ttl`.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl: nanos(ttl),
            soft: u64::MAX,
            load_time: 0,
            age: 0,
        }
    }

    /// With the time after which it is to be refreshed.
    #[must_use]
    pub fn with_soft(mut self, soft: Option<Duration>) -> Self {
        self.soft = soft.map_or(u64::MAX, nanos);
        self
    }

    /// With the time that its load took.
    #[must_use]
    pub fn with_load_time(mut self, load_time: Duration) -> Self {
        self.load_time = nanos(load_time);
        self
    }

    /// At this age.
    #[must_use]
    pub fn aged(mut self, age: Duration) -> Self {
        self.age = nanos(age);
        self
    }

    /// For how long it may be served as fresh.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        Duration::from_nanos(self.ttl)
    }

    /// After what time it is to be refreshed.
    #[must_use]
    pub fn soft(&self) -> Option<Duration> {
        (self.soft != u64::MAX).then(|| Duration::from_nanos(self.soft))
    }

    /// How long its load took.
    #[must_use]
    pub fn load_time(&self) -> Duration {
        Duration::from_nanos(self.load_time)
    }

    /// How long ago it was stored.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(self.age)
    }

    #[inline]
    pub(crate) fn is_expired(&self) -> bool {
        self.age >= self.ttl
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_values_apart() {
        let typed = |value: &SharedValue| {
            let life = Life::new(Duration::from_secs(1));
            Stored::Typed(Typed::new(value.clone(), life)).mark()
        };
        let (one, other): (SharedValue, SharedValue) = (Arc::new(1_u64), Arc::new(1_u64));
        assert_eq!(typed(&one), typed(&one));
        assert_ne!(typed(&one), typed(&other));
        let entry = |bytes: &'static [u8]| Stored::Encoded(Encoded::new(bytes.into())).mark();
        assert_eq!(entry(b"tiny"), entry(b""));
        assert_eq!(
            entry(b"01234567stamp+sum-of-it-and-the-rest"),
            entry(b"........stamp+sum-of-it-and-another")
        );
        assert_ne!(entry(b"01234567stamp"), entry(b"01234567STAMP"));
    }
}
