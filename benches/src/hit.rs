//! `hit`: what a call of a cached function costs when the value is there, in memory.

mod subjects;

use std::future::Future;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use crate::report::{Over, Report, progress};
use crate::workload::zipf;

/// How many users there are. Every cache has room for twice as many: all calls are hits.
pub(crate) const KEYS: usize = 10_000;
pub(crate) const CAPACITY: usize = 2 * KEYS;
/// A turn is short, so that on a busy machine the median turn is one that nobody interrupted,
const CALLS: usize = 50_000;
const ROUNDS: usize = 31;
/// and begins with calls that are not measured, so that it does not pay for what the subject before it left in the caches.
const WARM_UP: usize = 10_000;

/// One way to get a user: a call of a cached function, or what one would write by hand.
pub(crate) trait Subject: Sync {
    fn name(&self) -> &'static str;

    /// Asks for these users, one after another. One call through this trait for all, so that it costs nothing a user.
    fn calls(&self, runtime: &Runtime, order: &[u64]);
}

/// A subject made of its name and an async closure.
pub(crate) struct Call<F>(pub(crate) &'static str, pub(crate) F);

impl<F, Fut, T> Subject for Call<F>
where
    F: Fn(u64) -> Fut + Sync,
    Fut: Future<Output = T>,
{
    fn name(&self) -> &'static str {
        self.0
    }

    fn calls(&self, runtime: &Runtime, order: &[u64]) {
        runtime.block_on(async {
            for &id in order {
                black_box((self.1)(black_box(id)).await);
            }
        });
    }
}

pub(crate) fn run() -> Report {
    let mut report = Report::new("hit");
    let order = zipf(KEYS, 2 * CALLS);
    let (owned, shared) = runtime().block_on(subjects::all());
    for (case, subjects) in [("clone", &owned), ("arc", &shared)] {
        for subject in subjects {
            // Two passes over all keys: those that hold new entries back, by frequency, get to know them too.
            let all: Vec<u64> = (0..KEYS as u64).chain(0..KEYS as u64).collect();
            subject.calls(&runtime(), &all);
        }
        for threads in [1, 2] {
            for round in 1..=ROUNDS {
                for subject in subjects {
                    progress(&format!(
                        "{case}/{threads}t: round {round} of {ROUNDS}, {}",
                        subject.name()
                    ));
                    let ns = on_threads(threads, subject.as_ref(), &order);
                    report.add(
                        &format!("{case}/{threads}t"),
                        subject.name(),
                        "ns/call",
                        Over::Median,
                        ns,
                    );
                }
            }
        }
    }
    let runtime = runtime();
    for subject in &shared {
        let counted = allocation_counter::measure(|| subject.calls(&runtime, &order[..CALLS]));
        let each = counted.count_total as f64 / CALLS as f64;
        report.add(
            "arc/allocs",
            subject.name(),
            "allocs/call",
            Over::Median,
            each,
        );
    }
    progress("");
    report
}

/// What a call takes, in nanoseconds, when this many threads make them at once.
fn on_threads(threads: usize, subject: &dyn Subject, order: &[u64]) -> f64 {
    let start = Barrier::new(threads);
    let total: f64 = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let order = &order[thread * CALLS..][..CALLS];
                let start = &start;
                scope.spawn(move || {
                    let runtime = runtime();
                    subject.calls(&runtime, &order[..WARM_UP]);
                    start.wait();
                    let began = Instant::now();
                    subject.calls(&runtime, order);
                    began.elapsed().as_nanos() as f64
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a subject panicked"))
            .sum()
    });
    total / (threads * CALLS) as f64
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
