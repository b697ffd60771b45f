//! The command line.

use serde::{Deserialize, Serialize};
use tests::driver::{Asked, number};

pub(crate) const USAGE: &str = "\
Usage: cargo run --release -p tests --bin crash -- [OPTIONS]

Starts Redis, PostgreSQL, and processes that write and that work; kills all but PostgreSQL with SIGKILL, N times,
and compares what was acknowledged with what is in PostgreSQL.

  --kills N           so many kills (100)
  --seed S            which kills, in which order (at random); the same seed makes the same plan
  --json              one object on stdout: kills, acknowledged, lost, doubled, out_of_order, seed
  --verbose           what the cache of each process logs, on stderr

What is switched off has to show in the figures; they are no failure then:
  --without-aof       Redis keeps no append-only file: writes are lost
  --without-sequence  the body ignores the sequence number: writes are doubled
  --without-order     a later write is merged before an earlier one: writes are out of order

Ends with 0 if nothing was lost, doubled or out of order, 1 if something was, 2 if it could not be found out.";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) kills: u32,
    pub(crate) seed: u64,
    pub(crate) json: bool,
    pub(crate) verbose: bool,
    pub(crate) without: Without,
}

/// The mechanisms that are switched off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Without {
    pub(crate) aof: bool,
    pub(crate) sequence: bool,
    pub(crate) order: bool,
}

impl Without {
    pub(crate) fn any(self) -> bool {
        self.aof || self.sequence || self.order
    }
}

impl Arguments {
    /// Reads the command line; the error is a sentence.
    pub(crate) fn of(mut words: impl Iterator<Item = String>) -> Result<Asked<Self>, String> {
        let mut arguments = Self {
            kills: 100,
            seed: fastrand::u64(..),
            json: false,
            verbose: false,
            without: Without::default(),
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--kills" => arguments.kills = number(&word, words.next())?,
                "--seed" => arguments.seed = number(&word, words.next())?,
                "--verbose" => arguments.verbose = true,
                "--json" => arguments.json = true,
                "--without-aof" => arguments.without.aof = true,
                "--without-sequence" => arguments.without.sequence = true,
                "--without-order" => arguments.without.order = true,
                "-h" | "--help" => return Ok(Asked::Help),
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        if arguments.kills == 0 {
            return Err("`--kills` has to be at least 1".to_owned());
        }
        Ok(Asked::Run(arguments))
    }
}
