//! The command line.

use serde::{Deserialize, Serialize};
use tests::driver::{Asked, number};

use crate::referee::Sort;

pub(crate) const USAGE: &str = "\
Usage: cargo run --release -p tests --bin histories -- [OPTIONS]

Starts Redis, PostgreSQL, and processes that read and write rows through caches; writes down when each read and write began and ended,
and checks that no read returned what its consistency level does not allow.

  --reads N           at least so many checked reads (100000)
  --seed S            what each task does, how long its steps are held up, and the faults (at random). The same seed makes the same of each; which of
                      them meet is the machine's affair, and not the same twice: a violation is printed with the history of its row
  --faults[=SORTS]    what happens to servers and processes meanwhile, each sort at least once:
                      redis-killed, redis-lost, redis-hung, redis-hung-long, redis-flushed, cut, replies-lost, client-killed, client-stopped,
                      postgres-restarted, failover; all without SORTS, which are separated by commas
  --json              one object on stdout: checked, violations, seed and more
  --verbose           what the cache of each process logs, and one read of each sort that was excused, on stderr

Each of these breaks a mechanism, so that there have to be violations:
  --break late-fill         values are stored whether their lease stands or not
  --break invalidation      one in eight invalidations is not carried out
  --break intents           writes are not announced
  --break version-test      a version is stored whatever was stored before
  --break expiry            readers keep values for an hour
  --break commit            loaders return now and then what is not written yet
  --break backlog           what was kept is not delivered (needs --faults)

Ends with 0 if there were no violations, 1 if there were, 2 if it could not be found out.";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) reads: u64,
    pub(crate) seed: u64,
    pub(crate) faults: Vec<Sort>,
    pub(crate) json: bool,
    pub(crate) verbose: bool,
    pub(crate) broken: Option<Broken>,
}

/// The mechanism that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Broken {
    LateFill,
    Invalidation,
    Intents,
    VersionTest,
    Expiry,
    Commit,
    Backlog,
}

impl Broken {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "late-fill" => Self::LateFill,
            "invalidation" => Self::Invalidation,
            "intents" => Self::Intents,
            "version-test" => Self::VersionTest,
            "expiry" => Self::Expiry,
            "commit" => Self::Commit,
            "backlog" => Self::Backlog,
            _ => return None,
        })
    }
}

impl Arguments {
    /// Reads the command line; the error is a sentence.
    pub(crate) fn of(mut words: impl Iterator<Item = String>) -> Result<Asked<Self>, String> {
        let mut arguments = Self {
            reads: 100_000,
            seed: fastrand::u64(..),
            faults: Vec::new(),
            json: false,
            verbose: false,
            broken: None,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--reads" => arguments.reads = number(&word, words.next())?,
                "--seed" => arguments.seed = number(&word, words.next())?,
                "--verbose" => arguments.verbose = true,
                "--json" => arguments.json = true,
                "--faults" => arguments.faults = Sort::ALL.to_vec(),
                "--break" => {
                    let name = words.next().unwrap_or_default();
                    let broken = Broken::named(&name);
                    arguments.broken =
                        Some(broken.ok_or_else(|| format!("`--break {name}` is not known"))?);
                }
                "-h" | "--help" => return Ok(Asked::Help),
                _ => {
                    let sorts = word.strip_prefix("--faults=");
                    let sorts = sorts.ok_or_else(|| format!("`{word}` is not known"))?;
                    arguments.faults = sorts.split(',').map(sort).collect::<Result<_, _>>()?;
                }
            }
        }
        if arguments.reads == 0 {
            return Err("`--reads` has to be at least 1".to_owned());
        }
        Ok(Asked::Run(arguments))
    }
}

fn sort(name: &str) -> Result<Sort, String> {
    let found = Sort::ALL.into_iter().find(|sort| sort.name() == name);
    found.ok_or_else(|| format!("there is no fault `{name}`"))
}
