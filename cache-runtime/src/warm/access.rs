//! Who looks on when keys are read: the sketch of the hottest keys, and the recorder of a shadow.

use std::fmt;

use super::hot::Hottest;
use super::shadow::Recording;
use crate::clock::Clock;
use crate::key::Key;

/// Those who look on. A cache that has none of them has none of these either.
pub(crate) struct Accesses {
    pub(crate) hottest: Option<Hottest>,
    pub(crate) recording: Option<Recording>,
}

impl Accesses {
    pub(crate) fn new(hottest: Option<Hottest>, recording: Option<Recording>) -> Option<Self> {
        let anybody = hottest.is_some() || recording.is_some();
        anybody.then_some(Self { hottest, recording })
    }

    /// Somebody reads the key, be it there or not. On the path of a hit: allocates nothing for keys that were made without, and waits for
    /// nobody.
    #[inline]
    pub(crate) fn saw(&self, key: &Key, clock: &Clock) {
        if let Some(hottest) = &self.hottest {
            hottest.saw(key);
        }
        if let Some(recording) = &self.recording {
            recording.saw(key, clock);
        }
    }
}

impl fmt::Debug for Accesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accesses")
    }
}
