//! Who takes part, and what may go wrong.

/// How a cached function and its writers are consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Body, delete; a load stores whatever happened meanwhile.
    Eventual,
    /// Loads store under their lease.
    Fenced,
    /// Writes are announced.
    Strict,
}

/// What a writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `#[invalidates]`: body, `invalidate`.
    Invalidates,
    /// `#[invalidates(consistency = "strict")]`: `begin_write`, body, `end_write`.
    Strict,
    /// Write-through: `begin_write`, body, `end_write` with the value.
    Through,
    /// Strict write-through: the same, refused where it cannot be announced.
    ThroughStrict,
    /// Write-through with a version: body, `put_if_newer`.
    Versioned,
}

impl Kind {
    /// Whether the backend is told of the write before its body runs.
    pub fn is_announced(self) -> bool {
        matches!(self, Self::Strict | Self::Through | Self::ThroughStrict)
    }

    /// Whether the write is refused where the backend cannot be told of it.
    pub fn is_strict(self) -> bool {
        matches!(self, Self::Strict | Self::ThroughStrict)
    }

    /// Whether the end of the write brings the value.
    pub fn is_through(self) -> bool {
        matches!(self, Self::Through | Self::ThroughStrict)
    }
}

/// A writer, which writes once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOf {
    /// Where it runs.
    pub process: u8,
    /// What it does.
    pub kind: Kind,
    /// Whether it writes both keys in one transaction; else the first.
    pub both: bool,
}

/// How many of each may happen, at any moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Faults {
    /// An operation whose answer does not come. It is carried out at once, or later, or never.
    pub losses: u8,
    /// A process that is killed.
    pub crashes: u8,
    /// A call that is dropped, or panics.
    pub drops: u8,
    /// A load that fails.
    pub failures: u8,
    /// A lease or an intent that expires while its owner lives, and goes on later.
    pub hangs: u8,
    /// A value that leaves, by its TTL or to make room.
    pub evictions: u8,
    /// A value that is past its TTL though kept, and is to be replaced.
    pub expiries: u8,
    /// A process that finds the backend away, for as long as it takes.
    pub outages: u8,
    /// A backend that loses everything.
    pub flushes: u8,
}

impl Faults {
    /// None.
    pub const NONE: Self = Self {
        losses: 0,
        crashes: 0,
        drops: 0,
        failures: 0,
        hangs: 0,
        evictions: 0,
        expiries: 0,
        outages: 0,
        flushes: 0,
    };
}

/// Who takes part, and what may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration {
    /// For the command line.
    pub name: &'static str,
    /// How many keys there are.
    pub keys: u8,
    /// The level of the cached function.
    pub level: Level,
    /// The process of each reader.
    pub readers: &'static [u8],
    /// How many calls each reader makes.
    pub calls: u8,
    /// The writers.
    pub writers: &'static [WriterOf],
    /// What may go wrong.
    pub faults: Faults,
    /// Whether the backend is elsewhere, so that questions to it are shared.
    pub is_remote: bool,
    /// Whether the values are in the cache at the beginning.
    pub begins_filled: bool,
    /// Whether a wait for a lease may end before the lease does.
    pub wakes_early: bool,
    /// After so many leases waited for in vain a caller waits for no further one: `PASSED_BY`. Zero for: does not count.
    pub passed_by: u8,
    /// Whether the intent of a strict write may expire while its body runs and commits later.
    pub outlives_its_intent: bool,
    /// Whether the writers commit in their order.
    pub commits_in_order: bool,
}

impl WriterOf {
    /// A writer of the first key.
    pub const fn of(process: u8, kind: Kind) -> Self {
        Self {
            process,
            kind,
            both: false,
        }
    }

    /// A writer of both keys, in one transaction.
    pub const fn of_both(process: u8, kind: Kind) -> Self {
        Self {
            process,
            kind,
            both: true,
        }
    }
}

impl Configuration {
    /// Of one key and a fenced function in two processes, without faults, to be changed.
    pub const PLAIN: Self = Self {
        name: "plain",
        keys: 1,
        level: Level::Fenced,
        readers: &[0, 0, 1],
        calls: 1,
        writers: &[],
        faults: Faults::NONE,
        is_remote: true,
        begins_filled: false,
        wakes_early: false,
        passed_by: 0,
        outlives_its_intent: false,
        commits_in_order: false,
    };
}
