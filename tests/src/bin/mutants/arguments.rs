//! The command line.

use crate::list::Mutant;

pub(crate) const USAGE: &str = "\
Usage: cargo run --release -p tests --bin mutants -- [OPTIONS]

Builds the checks with switches that each remove one mechanism of the cache, runs them as they are, and then with one mechanism removed
after another, and tells which check noticed.

  --only NAME,…   these alone
  --list          what can be removed, and nothing is run
  --json          one object a line on stdout

Ends with 0 if every mutant was caught by a check that passes without it, 1 if not, 2 if it could not be found out.";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Help,
    List(Arguments),
    Run(Arguments),
}

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) mutants: Vec<Mutant>,
    pub(crate) json: bool,
}

impl Asked {
    pub(crate) fn of(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words;
        let (mut mutants, mut json, mut list) = (None, false, false);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--only" => {
                    let names = words.next().ok_or("`--only` needs names")?;
                    mutants = Some(named(&names)?);
                }
                "--list" => list = true,
                "--json" => json = true,
                "-h" | "--help" => return Ok(Self::Help),
                _ => return Err(format!("`{word}` is not known")),
            }
        }
        let arguments = Arguments {
            mutants: mutants.unwrap_or_else(|| Mutant::ALL.to_vec()),
            json,
        };
        Ok(if list {
            Self::List(arguments)
        } else {
            Self::Run(arguments)
        })
    }
}

fn named(names: &str) -> Result<Vec<Mutant>, String> {
    let known = |name: &str| {
        let found = Mutant::ALL.iter().find(|mutant| mutant.name() == name);
        found
            .copied()
            .ok_or_else(|| format!("there is no mutant `{name}`: `--list` tells which there are"))
    };
    names.split(',').map(known).collect()
}
