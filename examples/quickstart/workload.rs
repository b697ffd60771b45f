//! Which products are asked for, in which order, and how often they are written.

use crate::args::Args;
use crate::failure::Failure;
use crate::trace::{Random, Trace};

/// Without a trace: how many products, and how often they are asked for.
const PRODUCTS: u32 = 10_000;
const CALLS: usize = 500_000;

pub(crate) type Workload = Trace;

/// The workload that was asked for.
pub(crate) fn workload(args: &Args) -> Result<Workload, Failure> {
    match &args.trace {
        Some(path) => Trace::recorded(path, args.calls).map_err(|error| Failure::Trace {
            file: path.display().to_string(),
            error,
        }),
        None => Ok(Trace::generated(PRODUCTS, args.calls.unwrap_or(CALLS))),
    }
}

/// Decides what a task does next, the same in every run.
#[derive(Debug)]
pub(crate) struct Dice(Random);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.0.next().is_multiple_of(n)
    }
}
