//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

pub(crate) const HELP: &str = "\
Puts a cache in front of a shop's database and replays reads and writes from many tasks.

Usage: cargo run --release --example quickstart -- [options]

Options:
  --trace FILE   replay a recorded trace: big-endian 32-bit keys, plain or .xz
                 (without one the workload is generated)
  --calls N      make N calls of cached functions (default 500000; a trace: all of it)
  --tasks N      make them from N tasks (default 64)
  --json         print the figures as one JSON object
  -h, --help     print this

Environment:
  CACHE_URL      where the cache is, such as redis://127.0.0.1/ (default memory://)
  CACHE_TRACES   a folder of traces; its web07.trace.xz is replayed unless --trace is given
";

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) trace: Option<PathBuf>,
    pub(crate) calls: Option<usize>,
    pub(crate) tasks: usize,
    pub(crate) json: bool,
}

#[derive(Debug)]
pub(crate) enum Wanted {
    Help,
    Run(Args),
}

impl Args {
    pub(crate) fn from_command_line() -> Result<Wanted, lexopt::Error> {
        let mut args = Self {
            trace: None,
            calls: None,
            tasks: 64,
            json: false,
        };
        let mut line = lexopt::Parser::from_env();
        while let Some(arg) = line.next()? {
            match arg {
                Long("trace") => args.trace = Some(line.value()?.into()),
                Long("calls") => args.calls = Some(at_least_one("--calls", &mut line)?),
                Long("tasks") => args.tasks = at_least_one("--tasks", &mut line)?,
                Long("json") => args.json = true,
                Short('h') | Long("help") => return Ok(Wanted::Help),
                other => return Err(other.unexpected()),
            }
        }
        if args.trace.is_none() {
            args.trace = std::env::var_os("CACHE_TRACES")
                .map(|folder| PathBuf::from(folder).join("web07.trace.xz"));
        }
        Ok(Wanted::Run(args))
    }
}

fn at_least_one(option: &str, line: &mut lexopt::Parser) -> Result<usize, lexopt::Error> {
    let value = line.value()?;
    match value.to_str().map(str::parse) {
        Some(Ok(number)) if number > 0 => Ok(number),
        _ => Err(format!("{option} takes a whole number of at least 1, not {value:?}").into()),
    }
}
