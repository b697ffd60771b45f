//! The command line.

use serde::{Deserialize, Serialize};
use tests::driver::{Asked, number};

pub(crate) const USAGE: &str = "\
Usage: cargo run --release -p tests --bin regions -- [OPTIONS]

Starts two Redis servers as regions, one as the bus between them and one as the database, and processes in each region that write and
read the same rows; does to servers and processes what happens to them, and compares the entries of both regions with the database.

  --writes N            at least so many writes that were invalidated and whose event is on the bus (100000)
  --away SECONDS        how long the bus is stopped (10)
  --seed S              which faults, in which order (at random)
  --json                one object on stdout
  --verbose             what the cache of each process logs, on stderr

What is switched off has to show in the figures, and only those faults happen that can show it; it is no failure then:
  --without-waiting     events are acknowledged when they are read, before the invalidation
  --without-takeover    nobody takes over what a process had read when it was killed
  --without-flush       nobody clears a region that has missed events

Ends with 0 if no entry was stale, 1 if one was, 2 if it could not be found out.";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) writes: u64,
    pub(crate) away: u64,
    pub(crate) seed: u64,
    pub(crate) json: bool,
    pub(crate) verbose: bool,
    pub(crate) without: Without,
}

/// The mechanisms that are switched off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Without {
    pub(crate) waiting: bool,
    pub(crate) takeover: bool,
    pub(crate) flush: bool,
}

impl Without {
    pub(crate) fn any(self) -> bool {
        self.waiting || self.takeover || self.flush
    }
}

impl Arguments {
    /// Reads the command line; the error is a sentence.
    pub(crate) fn of(mut words: impl Iterator<Item = String>) -> Result<Asked<Self>, String> {
        let mut arguments = Self {
            writes: 100_000,
            away: 10,
            seed: fastrand::u64(..),
            json: false,
            verbose: false,
            without: Without::default(),
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--writes" => arguments.writes = number(&word, words.next())?,
                "--away" => arguments.away = number(&word, words.next())?,
                "--seed" => arguments.seed = number(&word, words.next())?,
                "--verbose" => arguments.verbose = true,
                "--json" => arguments.json = true,
                "--without-waiting" => arguments.without.waiting = true,
                "--without-takeover" => arguments.without.takeover = true,
                "--without-flush" => arguments.without.flush = true,
                "-h" | "--help" => return Ok(Asked::Help),
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        if arguments.writes == 0 {
            return Err("`--writes` has to be at least 1".to_owned());
        }
        Ok(Asked::Run(arguments))
    }
}
