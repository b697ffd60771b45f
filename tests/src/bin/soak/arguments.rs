//! The command line.

use std::str::FromStr;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
Usage: cargo run --release -p tests --bin soak -- [OPTIONS]

Loads a cache on Redis and one in memory with reads and writes of every sort, and troubles Redis every few seconds. Looks whether memory, tasks,
connections and files stay within their bounds, whether every call is answered in its time, and whether any value is older than it may be.

  --minutes M       for so long (60); a part of one is fine
  --seed S          which faults, in which order, and which keys (at random)
  --tasks N         so many callers (256)
  --keys N          so many keys, the first of them the hottest (1000000)
  --json            one object on stdout: seed, seconds, calls, faults, violations, checks
  --verbose         what the caches log, on stderr

What leaks has to be found:
  --leak WHAT       tasks, memory, connections or time (a caller that waits): lost on purpose

Ends with 0 if all checks hold, 1 if one does not, 2 if it was asked for wrongly.";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Help,
    Run(Arguments),
}

#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) tasks: usize,
    pub(crate) keys: u64,
    pub(crate) json: bool,
    pub(crate) verbose: bool,
    pub(crate) leak: Option<Leak>,
}

/// What is lost on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leak {
    Tasks,
    Memory,
    Connections,
    Time,
}

impl FromStr for Leak {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "tasks" => Ok(Self::Tasks),
            "memory" => Ok(Self::Memory),
            "connections" => Ok(Self::Connections),
            "time" => Ok(Self::Time),
            _ => Err("`--leak` is one of tasks, memory, connections, time".to_owned()),
        }
    }
}

impl Asked {
    /// Reads the command line; the error is a sentence.
    pub(crate) fn of(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Arguments {
            time: Duration::from_secs(3600),
            seed: fastrand::u64(..),
            tasks: 256,
            keys: 1_000_000,
            json: false,
            verbose: false,
            leak: None,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--minutes" => arguments.time = minutes(words.next())?,
                "--seed" => arguments.seed = number(&word, words.next())?,
                "--tasks" => arguments.tasks = number(&word, words.next())?,
                "--keys" => arguments.keys = number(&word, words.next())?,
                "--json" => arguments.json = true,
                "--verbose" => arguments.verbose = true,
                "--leak" => arguments.leak = Some(words.next().unwrap_or_default().parse()?),
                "-h" | "--help" => return Ok(Self::Help),
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        if arguments.tasks == 0 || arguments.keys < 1000 {
            return Err("`--tasks` has to be at least 1, and `--keys` at least 1000".to_owned());
        }
        Ok(Self::Run(arguments))
    }
}

fn minutes(value: Option<String>) -> Result<Duration, String> {
    let minutes: f64 = number("--minutes", value)?;
    Duration::try_from_secs_f64(minutes * 60.0)
        .ok()
        .filter(|time| *time >= Duration::from_secs(10))
        .ok_or_else(|| "`--minutes` has to be at least 0.17".to_owned())
}

fn number<T: FromStr>(name: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("`{name}` needs a number"))?;
    let number = value.parse();
    number.map_err(|_| format!("`{name}` needs a number that is not too large, not `{value}`"))
}
