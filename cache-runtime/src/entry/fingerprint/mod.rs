//! A number for the shape of a type as serde sees it, so that an entry written for another shape is a miss.
//!
//! The type's own `Deserialize` is run with a deserializer that notes what it is asked for and hands out dummies
//! ([`trace`]), several times over until every enum variant and every field has been seen ([`ledger`]).
//!
//! What serde does not say, this cannot see: what is behind `deserialize_any` (untagged, internally tagged and flattened types,
//! `serde_json::Value`) counts as "any", a type that is read from text counts as text, and the meaning of a
//! number is nobody's but the user's. That is what `schema = n` is for.

mod ledger;
mod trace;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ledger::Ledger;
use serde::de::DeserializeOwned;
use trace::Tracer;

/// Changed whenever the same type would come to another number; entries of other numbers are misses.
const METHOD: u64 = 1;

/// How often a type is run. Each run takes one more variant of each enum; past this, only their names count.
const MAX_PASSES: u32 = 256;

/// The fingerprint of `T`: equal in every process and build, whatever module the type is in.
///
/// Takes microseconds to a few milliseconds; to be computed once for each type.
pub(crate) fn of<T: DeserializeOwned>(schema: u32) -> u64 {
    let mut print = Print::new();
    print.number(METHOD);
    print.number(schema.into());
    // Both, for types that are text to one codec and bytes to another, such as IP addresses.
    for human_readable in [false, true] {
        let mut ledger = Ledger::new(&mut print, human_readable);
        let mut passes = 0;
        while passes < MAX_PASSES && ledger.begin() {
            passes += 1;
            // A `Deserialize` that asserts what a dummy breaks is no reason to take the process down.
            let run = catch_unwind(AssertUnwindSafe(|| {
                T::deserialize(Tracer::new(&mut ledger)).is_ok()
            }));
            if run.is_err() {
                ledger.print.text("panicked");
                break;
            }
        }
    }
    print.finish()
}

/// The fingerprint of the arguments of a function: their names, and the shape of all of them together.
pub(crate) fn of_arguments<A: DeserializeOwned>(schema: u32, names: &[&str]) -> u64 {
    let mut print = Print::new();
    print.number(of::<A>(schema));
    print.texts(names);
    print.finish()
}

/// FNV-1a of 64 bits: the standard library's hashers promise nothing across builds.
struct Print(u64);

impl Print {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// With its length, so that two texts never run into each other.
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    fn texts(&mut self, texts: &[&str]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }

    const fn finish(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
