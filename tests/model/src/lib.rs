//! The protocol of the cache as a model: what backends keep of a key, what callers and writers do, and whatever may go wrong between them.

mod backend;
mod catching;
mod check;
mod configuration;
mod faults;
mod mutant;
pub mod promises;
mod protocol;
mod reading;
pub mod sizes;
mod state;
mod symmetry;
mod writing;

pub use backend::{Entry, Intent, Lease, LeaseMode, Token, Version, WriteEnd};
pub use check::{Counterexample, Outcome, Report, check, counterexample};
pub use configuration::{Configuration, Faults, Kind, Level, WriterOf};
pub use mutant::Mutant;
pub use protocol::{Action, Protocol, Step};
pub use state::{
    Broken, Join, Operation, Phase, Process, Reader, ReaderId, Stage, State, Told, Writer,
};
