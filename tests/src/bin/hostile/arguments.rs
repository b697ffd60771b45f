//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use tests::hostile::to_bytes;

pub(crate) const USAGE: &str = "\
Usage: cargo run --release -p tests --bin hostile -- [OPTIONS]

Tries the readers of entries, records, keys, templates, replies, events and files on damaged, forged and random bytes:
they may not panic, allocate more than the bytes warrant, or give a wrong value.

  --cases N      so many for each target (1000000)
  --target NAME  one target only
  --seed S       which cases (at random); the same seed makes the same cases
  --from N       the number of the first case (0)
  --corpus DIR   writes the cases into files of this folder, for another fuzzer, and tries none
  --bytes HEX    these bytes alone, as a case that was found prints them
  --json         one object a line: target, seed, cases, accepted, once_sealed, found

Ends with 0 if nothing was found, 1 if something was, 2 if it was asked for wrongly.";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Help,
    Run(Arguments),
}

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) cases: u64,
    pub(crate) seed: u64,
    pub(crate) from: u64,
    pub(crate) target: Option<String>,
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) json: bool,
    pub(crate) corpus: Option<PathBuf>,
    /// Says itself what is found, and leaves a trail in this file for whoever started it.
    pub(crate) trail: Option<PathBuf>,
}

impl Asked {
    /// Reads the command line; the error is a sentence.
    pub(crate) fn of(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Arguments {
            cases: 1_000_000,
            seed: fastrand::u64(..),
            from: 0,
            target: None,
            bytes: None,
            json: false,
            corpus: None,
            trail: None,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--cases" => arguments.cases = number(&word, words.next())?,
                "--seed" => arguments.seed = number(&word, words.next())?,
                "--from" => arguments.from = number(&word, words.next())?,
                "--target" => arguments.target = words.next(),
                "--bytes" => {
                    let bytes = words.next().and_then(|hex| to_bytes(&hex));
                    arguments.bytes =
                        Some(bytes.ok_or("`--bytes` needs pairs of hexadecimal digits")?);
                }
                "--corpus" => arguments.corpus = words.next().map(PathBuf::from),
                "--trail" => arguments.trail = words.next().map(PathBuf::from),
                "--json" => arguments.json = true,
                "-h" | "--help" => return Ok(Self::Help),
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        Ok(Self::Run(arguments))
    }
}

fn number<T: FromStr>(name: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("`{name}` needs a number"))?;
    let number = value.parse();
    number
        .map_err(|_| format!("`{name}` needs a whole number that is not too large, not `{value}`"))
}
