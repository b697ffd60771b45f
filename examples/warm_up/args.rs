//! The command line.

use std::env;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;

pub(crate) const HELP: &str = "\
Restarts a cache in the middle of a trace, and shows what each way of warming it spares the database.

Usage: cargo run --release --example warm_up -- [options]

Options:
  --trace FILE   a recorded trace: big-endian 32-bit keys, plain or .xz
  --generated    a generated workload, although there is a trace
  --json         print the figures as one JSON object
  -h, --help     print this

Environment:
  CACHE_TRACES   a folder of traces, of which web07.trace.xz is taken (default ../shared/traces, if it
                 is there; without one the workload is generated)
";

const FOLDER: &str = "../shared/traces";
const TRACE: &str = "web07.trace.xz";

#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) trace: Option<PathBuf>,
    pub(crate) json: bool,
}

#[derive(Debug)]
pub(crate) enum Wanted {
    Help,
    Run(Args),
}

impl Args {
    pub(crate) fn from_command_line() -> Result<Wanted, lexopt::Error> {
        let mut args = Self::default();
        let mut generated = false;
        let mut line = lexopt::Parser::from_env();
        while let Some(arg) = line.next()? {
            match arg {
                Long("trace") => args.trace = Some(line.value()?.into()),
                Long("generated") => generated = true,
                Long("json") => args.json = true,
                Short('h') | Long("help") => return Ok(Wanted::Help),
                other => return Err(other.unexpected()),
            }
        }
        if args.trace.is_none() && !generated {
            args.trace = found();
        }
        Ok(Wanted::Run(args))
    }
}

/// The folder that is named has to have the trace; the usual one may be missing.
fn found() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("CACHE_TRACES") {
        return Some(PathBuf::from(folder).join(TRACE));
    }
    let usual = Path::new(FOLDER).join(TRACE);
    usual.exists().then_some(usual)
}
