//! Who looks on when keys are read: the sketch of the hottest keys, and the recorder of a shadow.

use std::fmt;

use super::hot::Hottest;
use crate::clock::Clock;
use crate::key::Key;

/// Those who look on. A cache that has none of them has none of these either.
pub(crate) struct Accesses {
    pub(crate) hottest: Option<Hottest>,
}

impl Accesses {
    pub(crate) fn new(hottest: Option<Hottest>) -> Option<Self> {
        hottest.as_ref()?;
        Some(Self { hottest })
    }

    /// Somebody reads the key, be it there or not. On the path of a hit: allocates nothing for keys that were made without, and waits for
    /// nobody.
    #[inline]
    pub(crate) fn saw(&self, key: &Key, clock: &Clock) {
        let _ = clock;
        if let Some(hottest) = &self.hottest {
            hottest.saw(key);
        }
    }
}

impl fmt::Debug for Accesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accesses")
    }
}
