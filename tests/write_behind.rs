//! Write-behind: what a call promises, what readers see meanwhile, and what the worker does with writes, good and bad.

#[path = "write_behind/awkward.rs"]
mod awkward;
#[path = "write_behind/disputed.rs"]
mod disputed;
#[path = "write_behind/failing.rs"]
mod failing;
#[path = "write_behind/folding.rs"]
mod folding;
#[path = "write_behind/full.rs"]
mod full;
#[path = "write_behind/ledger.rs"]
mod ledger;
#[path = "write_behind/letters.rs"]
mod letters;
#[path = "write_behind/pending.rs"]
mod pending;
#[path = "write_behind/shutdown.rs"]
mod shutdown;
#[path = "write_behind/timing.rs"]
mod timing;
