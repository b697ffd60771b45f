//! For tests of applications and of backends: faults on demand, and the conformance suite.
//!
//! Two things that tests need are not here because they are useful without the feature `testing`:
//! [`Cache::scope`](crate::Cache::scope) and [`ManualClock`](crate::ManualClock).

pub mod conformance;
mod faults;
mod faulty_log;
#[doc(hidden)]
pub mod hostile;

pub use faults::{Fault, Faults, Faulty};
