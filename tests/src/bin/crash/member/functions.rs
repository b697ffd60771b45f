//! The write-behind writers under test: one number a call, added to a page.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_runtime::{Error, Write, cached};

use crate::ledger::{Entry, Ledger};

/// Later numbers are merged before earlier ones.
pub(super) static REVERSED: AtomicBool = AtomicBool::new(false);

/// Why a number was not written.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(format!("{error:?}"))
    }
}

/// Nothing is folded away: every number that was ever written has to arrive.
fn append(numbers: &mut Vec<u64>, more: Vec<u64>) {
    if REVERSED.load(Ordering::Relaxed) {
        numbers.splice(0..0, more);
    } else {
        numbers.extend(more);
    }
}

/// Waits long enough that a worker which is stopped nearly always has some of its writes read and not run.
#[cached(
    pattern = "write-behind",
    key = "page:<page>",
    merge = append,
    flush = "100ms"
)]
pub(super) async fn note(
    #[context] ledger: &Ledger,
    page: u64,
    numbers: Vec<u64>,
    #[sequence] sequence: u64,
) -> Result<(), Failure> {
    let entry = Entry {
        page,
        sequence,
        numbers,
    };
    Ok(ledger.apply(&[entry]).await?)
}

/// The same in batches, on the same keys: the writes of both are one sequence.
#[cached(
    pattern = "write-behind",
    key = "page:<page>",
    merge = append,
    flush = "20ms",
    batch = 100,
    batch_with = note_all
)]
pub(super) async fn note_in_batches(
    #[context] ledger: &Ledger,
    page: u64,
    numbers: Vec<u64>,
    #[sequence] sequence: u64,
) -> Result<(), Failure> {
    let entry = Entry {
        page,
        sequence,
        numbers,
    };
    Ok(ledger.apply(&[entry]).await?)
}

async fn note_all(ledger: &Ledger, writes: Vec<Write<(u64, Vec<u64>)>>) -> Result<(), Failure> {
    let entries = writes.into_iter().map(|write| {
        let (page, numbers) = write.args;
        Entry {
            page,
            sequence: write.sequence,
            numbers,
        }
    });
    let entries: Vec<_> = entries.collect();
    Ok(ledger.apply(&entries).await?)
}
