//! `stampede`: 1,000 callers of one cold key whose load takes 50 ms, in one process and in eight; and hot keys that expire, in every mode.

mod across;
mod callers;
mod expiring;
mod within;

use tokio::runtime::{Builder, Runtime};

use crate::report::{Over, Report, progress};
pub(crate) use across::{CHILD, child};

const CALLERS: usize = 1_000;
const ROUNDS: u64 = 9;

/// What one process saw of a round, in microseconds of the wall clock, which the processes of a machine share.
#[derive(Debug, Clone, Copy)]
struct Seen {
    loads: u64,
    /// When the first load ended; `None` if this process made none.
    loaded: Option<u64>,
    /// When the last caller was served.
    served: u64,
}

pub(crate) fn run() -> Report {
    let mut report = Report::new("stampede");
    within::measure(&mut report);
    across::measure(&mut report);
    expiring::measure(&mut report);
    progress("");
    report
}

fn add(report: &mut Report, case: &str, subject: &'static str, seen: &[Seen]) {
    let loads: u64 = seen.iter().map(|process| process.loads).sum();
    let loaded = seen
        .iter()
        .filter_map(|process| process.loaded)
        .min()
        .expect("somebody loads a cold key");
    let served = seen
        .iter()
        .map(|process| process.served)
        .max()
        .expect("at least one process");
    // From the end of the *first* load: where each caller loads for itself, the others are late by as much.
    let tail = (served - loaded) as f64 / 1_000.0;
    report.add(
        &format!("{case}/loads"),
        subject,
        "loads",
        Over::Worst,
        loads as f64,
    );
    report.add(
        &format!("{case}/tail_ms"),
        subject,
        "ms",
        Over::Median,
        tail,
    );
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}
