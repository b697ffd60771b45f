//! Tries a target on many cases, on several threads.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fastrand::Rng;

use super::{Meter, Seen, Target, Trail};

/// A thread takes so many cases at a time.
const PORTION: u64 = 1000;

/// Which cases are tried.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Of the whole run.
    pub seed: u64,
    /// The number of the first case.
    pub from: u64,
    /// How many.
    pub cases: u64,
    /// On so many threads.
    pub threads: usize,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases that were tried.
    pub cases: u64,
    /// Of these, those that meant something.
    pub accepted: u64,
    /// Of the others, those that did once their checksum was made right.
    pub once_sealed: u64,
    /// The first broken promise.
    pub found: Option<Found>,
}

/// A case that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The target.
    pub target: &'static str,
    /// The seed of the run.
    pub seed: u64,
    /// The number of the case: it is made anew from these two.
    pub number: u64,
    /// What was tried.
    pub bytes: Vec<u8>,
    /// Which promise.
    pub problem: String,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            target,
            seed,
            number,
            bytes,
            problem,
        } = self;
        let hex = to_hex(bytes);
        write!(
            f,
            "{target}, seed {seed}, case {number}: {problem}\nbytes: {hex}\nagain: "
        )?;
        write!(
            f,
            "cargo run -p tests --bin hostile -- --target {target} --bytes {hex}"
        )
    }
}

/// Tries the target on the plan's cases, until one breaks a promise.
pub fn run(target: &dyn Target, plan: Plan, meter: Meter, trail: Option<&Trail>) -> Report {
    let work = &Work {
        target,
        plan,
        meter,
        trail,
        next: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        report: Mutex::default(),
    };
    thread::scope(|scope| {
        for thread in 0..plan.threads.max(1) {
            scope.spawn(move || work.go_on(thread));
        }
    });
    std::mem::take(&mut work.report.lock().expect("no thread panics"))
}

struct Work<'t> {
    target: &'t dyn Target,
    plan: Plan,
    meter: Meter,
    trail: Option<&'t Trail>,
    next: AtomicU64,
    is_over: AtomicBool,
    report: Mutex<Report>,
}

impl Work<'_> {
    fn go_on(&self, thread: usize) {
        while !self.is_over.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(PORTION, Ordering::Relaxed);
            let end = (first + PORTION).min(self.plan.cases);
            if first >= end {
                return;
            }
            let portion = self.portion(thread, self.plan.from + first..self.plan.from + end);
            self.is_over
                .fetch_or(portion.found.is_some(), Ordering::Relaxed);
            self.report.lock().expect("no thread panics").add(portion);
        }
    }

    fn portion(&self, thread: usize, numbers: Range<u64>) -> Report {
        let mut report = Report::default();
        for number in numbers {
            if let Some(trail) = self.trail {
                trail.note(thread, Some(number));
            }
            let bytes = self.plan.case(self.target, number);
            let seen = self.target.check(&bytes, self.meter);
            report.cases += 1;
            match seen {
                Ok(Seen::Accepted) => report.accepted += 1,
                Ok(Seen::OnceSealed) => report.once_sealed += 1,
                Ok(Seen::Refused) => {}
                Err(problem) => {
                    report.found = Some(Found {
                        target: self.target.name(),
                        seed: self.plan.seed,
                        number,
                        bytes,
                        problem,
                    });
                    break;
                }
            }
        }
        if let Some(trail) = self.trail {
            trail.note(thread, None);
        }
        report
    }
}

impl Plan {
    /// The bytes of a case. Each has a generator of its own, so that it can be made by itself.
    pub fn case(&self, target: &dyn Target, number: u64) -> Vec<u8> {
        let mut random = Rng::with_seed(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        target.make(&mut random.fork())
    }
}

impl Report {
    fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.accepted += other.accepted;
        self.once_sealed += other.once_sealed;
        // The one of the lowest number: which thread was faster is of no interest.
        let earlier = |found: &Found| {
            self.found
                .as_ref()
                .is_none_or(|old| found.number < old.number)
        };
        if other.found.as_ref().is_some_and(earlier) {
            self.found = other.found;
        }
    }
}

/// The bytes in hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits.
pub fn to_bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex.chars().map(|c| Some(c.to_digit(16)? as u8)).collect();
    let (pairs, rest) = digits.as_ref()?.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
