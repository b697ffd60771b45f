//! The protocol of the cache as a model: what backends keep of a key, what callers and writers do, and whatever may go wrong between them. A checker
//! ([stateright](https://docs.rs/stateright)) goes through all of its states, in any order of the steps, and looks for one in which a promise is broken.
//!
//! Its parts have the names of the code's:
//!
//! | here | step by step |
//! | --- | --- |
//! | `backend` | the operations of `backend::Backend`, as `backend/memory/` and the scripts of `backend/redis/lua/` carry them out |
//! | `reading` | a call of a cached function: `pattern/read.rs`, `aside.rs`, `loading.rs`, and the flights of `stampede/flight.rs` |
//! | `writing` | a call of a writer: `invalidation/write.rs`, `announced.rs`, `owed.rs`, `pattern/write_through/`; the backlog of `guard/` |
//! | `faults` | answers that are lost, operations that arrive late, processes that are killed, calls that are dropped, leases and intents that expire under an owner who goes on |
//! | `promises` | what has to hold in every state |
//! | `mutant` | mechanisms that can be taken out, one at a time |
//!
//! That `backend` answers as the code's backends do is tested by `tests/as_modelled.rs`, with random operations on both.
//!
//! A step is what nobody can look into: an operation of the backend, or what a caller does between two of them under the lock of the flights. A call begins
//! with its look-up and ends with its last step; began it earlier or ended later, less would be asked of it. A row's value is its version.
//!
//! Time is not counted. A lease and an intent may expire at any moment if nobody is left to renew them, and if their owner lives as often as
//! [`Faults::hangs`] says: that is the process which was stopped, or starved, and wakes up. A lost operation ([`Faults::losses`]) is carried out at any time
//! later, or never. How often each fault may come is bounded, and so is who takes part: [`Configuration`].
//!
//! Not in the model: tags and namespaces, the write-behind log, regions, gradual roll-outs, batches, refreshes ahead, `clear`, and reads inside of
//! transactions. Errors are shared with nobody: who has joined a load that fails asks again.

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
