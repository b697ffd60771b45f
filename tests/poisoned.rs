//! A poisoned Redis: other types, other programs' data, damaged entries and huge values under our keys, and commands that fail. It costs misses and counters,
//! never an error to a caller, never a wrong value, and is over when the poison is gone or overwritten.

#[path = "poisoned/bytes.rs"]
mod bytes;
#[path = "poisoned/commands.rs"]
mod commands;
#[path = "poisoned/huge.rs"]
mod huge;
#[path = "poisoned/states.rs"]
mod states;
#[path = "poisoned/types.rs"]
mod types;
#[path = "poisoned/world.rs"]
mod world;
