//! Which cases are under way, in a file: there for whoever asks what a process was at that aborted or hung.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const SLOT: usize = 8;

/// A slot for each thread, with the number of its case.
#[derive(Debug)]
pub struct Trail(File);

impl Trail {
    /// A new one.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(path).map(Self)
    }

    /// The thread begins with this case, or has none.
    pub(super) fn note(&self, thread: usize, case: Option<u64>) {
        let number = case.map_or(0, |case| case + 1);
        // Without a trail there is less to tell of an abort, and nothing else is wrong.
        let _ = self
            .0
            .write_at(&number.to_le_bytes(), (thread * SLOT) as u64);
    }

    /// The cases that were under way when it was last written to.
    pub fn read(path: &Path) -> Vec<u64> {
        let bytes = std::fs::read(path).unwrap_or_default();
        let numbers = bytes.as_chunks::<SLOT>().0.iter().copied();
        numbers
            .filter_map(|number| u64::from_le_bytes(number).checked_sub(1))
            .collect()
    }
}
