//! The rows of a run, and what is promised of each.

/// What readers and writers of a row use. Its number is the first part of the rows' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Mode {
    /// `consistency = "eventual"`, written by invalidation and by write-through.
    Eventual,
    /// `fenced`, written by invalidation and by write-through with intents.
    Fenced,
    /// `fenced`, written by write-through with `version` alone.
    Versions,
    /// `strict`, written by invalidation and by write-through.
    Strict,
    /// `fenced` in the memory of one process.
    MemoryFenced,
    /// `strict` in the memory of one process.
    MemoryStrict,
}

/// What is promised of reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    Eventual,
    Fenced,
    Strict,
}

impl Mode {
    pub(crate) const ON_REDIS: [Self; 4] =
        [Self::Eventual, Self::Fenced, Self::Versions, Self::Strict];
    pub(crate) const IN_MEMORY: [Self; 2] = [Self::MemoryFenced, Self::MemoryStrict];
    const ALL: [Self; 6] = [
        Self::Eventual,
        Self::Fenced,
        Self::Versions,
        Self::Strict,
        Self::MemoryFenced,
        Self::MemoryStrict,
    ];

    pub(crate) fn level(self) -> Level {
        match self {
            Self::Eventual => Level::Eventual,
            Self::Fenced | Self::Versions | Self::MemoryFenced => Level::Fenced,
            Self::Strict | Self::MemoryStrict => Level::Strict,
        }
    }

    pub(crate) fn is_in_memory(self) -> bool {
        matches!(self, Self::MemoryFenced | Self::MemoryStrict)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eventual => "eventual",
            Self::Fenced => "fenced",
            Self::Versions => "fenced, by version",
            Self::Strict => "strict",
            Self::MemoryFenced => "fenced, in memory",
            Self::MemoryStrict => "strict, in memory",
        }
    }
}

/// Rows of each mode that are written all the time, and rows that are seldom written: of those a value lives to its TTL.
const HOT: u64 = 4;
const QUIET: u64 = 4;
/// Quiet rows take one in so many of the writes that hot ones do.
pub(crate) const QUIETER: u64 = 200;

const OF_A_MODE: u64 = 1 << 40;
const OF_A_PROCESS: u64 = 1 << 8;

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowId(pub(crate) u64);

impl RowId {
    /// The rows of a mode; of one in memory those of the process that was born as this.
    pub(crate) fn all_of(mode: Mode, birth: u64) -> impl Iterator<Item = Self> {
        let place = Mode::ALL.iter().position(|&one| one == mode).unwrap_or(0) as u64;
        let process = if mode.is_in_memory() { birth } else { 0 };
        let first = place * OF_A_MODE + process * OF_A_PROCESS;
        (0..HOT + QUIET).map(move |number| Self(first + number))
    }

    pub(crate) fn mode(self) -> Mode {
        let place = usize::try_from(self.0 / OF_A_MODE).unwrap_or(0);
        Mode::ALL[place.min(Mode::ALL.len() - 1)]
    }

    pub(crate) fn is_quiet(self) -> bool {
        self.0 % OF_A_PROCESS >= HOT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_knows_its_mode() {
        for mode in Mode::ALL {
            for birth in [0, 1, 9] {
                assert!(RowId::all_of(mode, birth).all(|row| row.mode() == mode));
            }
        }
        let mut rows: Vec<_> = Mode::ALL
            .into_iter()
            .flat_map(|mode| RowId::all_of(mode, 3))
            .collect();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len() as u64, 6 * (HOT + QUIET));
    }
}
