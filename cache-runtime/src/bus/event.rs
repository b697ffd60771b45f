//! What regions tell each other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::wire;
use crate::backend::Token;
use crate::error::ConfigError;
use crate::key::Key;

/// The longest name of a region.
const LONGEST_REGION: usize = 64;

/// Between a region's name and the process, in the name of a group that is of one process.
const OF_PROCESS: char = '/';

/// Those who share a store, and so read the events together: the processes of a region, or one process with a store in its memory.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Group(Arc<str>);

impl Group {
    /// The group of all processes of a region.
    ///
    /// ```
    /// use cache_runtime::bus::Group;
    ///
    /// assert_eq!(Group::of_region("eu-1")?.as_str(), "eu-1");
    /// assert!(Group::of_region("Paris, France").is_err());
    /// # Ok::<(), cache_runtime::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the name is empty, longer than 64, or has other characters than ASCII letters and digits, `-`, `_` and `.`.
    pub fn of_region(region: &str) -> Result<Self, ConfigError> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let problem = if region.is_empty() {
            "is empty: give it a short name, such as `eu-1`".to_owned()
        } else if region.len() > LONGEST_REGION {
            format!("is longer than {LONGEST_REGION} bytes")
        } else if let Some(bad) = region.chars().find(|&c| !is_good(c)) {
            format!("has a {bad:?}: only ASCII letters and digits, `-`, `_` and `.` can be in it")
        } else {
            return Ok(Self(region.into()));
        };
        Err(ConfigError::new("region of the bus", problem))
    }

    /// The group of one process of this group's region, which has a store of its own.
    #[must_use]
    pub fn of_process(&self, process: Token) -> Self {
        Self(format!("{}{OF_PROCESS}{process}", self.region()).into())
    }

    /// Whether it is a single process's.
    #[must_use]
    pub fn is_of_process(&self) -> bool {
        self.0.contains(OF_PROCESS)
    }

    /// The name of its region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0
            .split_once(OF_PROCESS)
            .map_or(&*self.0, |(region, _)| region)
    }

    /// Its name on the bus.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a name back, from an event. A later version may allow more than this one.
    pub(super) fn named(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Something that was invalidated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whose store it was invalidated in.
    pub origin: Group,
    /// Whether the origin's own store could not be reached: then the event is for its own group too, as the process that keeps the
    /// invalidation may not live to deliver it.
    pub is_for_origin: bool,
    /// How long it had waited for the bus when it was published.
    pub waited: Duration,
    /// What was invalidated.
    pub what: What,
}

/// What was invalidated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The entries of these keys.
    Keys(Vec<Key>),
    /// The entries with any of these tags.
    Tags(Vec<Key>),
    /// Every entry of the namespace.
    Everything,
}

impl Event {
    /// The event as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::write(self)
    }

    /// The event of these bytes; `None` if they are none that this version knows.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        wire::read(bytes)
    }

    /// Whether the group has nothing to do for it: it is its own.
    pub(crate) fn is_done_in(&self, group: &Group) -> bool {
        self.origin == *group && !self.is_for_origin
    }
}
