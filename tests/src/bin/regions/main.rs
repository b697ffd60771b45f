//! The regions test: two regions, each with a Redis server and several processes, and a bus between them. All of them write and read the same rows while servers are killed,
//! emptied and stopped, and processes too. At the end no entry of either region may be older than the last invalidation of its key.

mod arguments;
mod database;
mod member;
mod referee;
mod words;

use std::process::ExitCode;

use tests::driver::{Outcome, Program, Trouble};

use arguments::Arguments;
use member::ROLE;

const PROGRAM: Program = Program {
    name: "regions",
    usage: arguments::USAGE,
};

fn main() -> ExitCode {
    if let Some(settings) = ROLE.settings() {
        member::run(settings);
    }
    PROGRAM.run(Arguments::of(std::env::args().skip(1)), judge)
}

fn judge(arguments: &Arguments) -> Result<Outcome, Trouble> {
    let figures =
        referee::run(arguments).map_err(|trouble| format!("seed {}: {trouble}", arguments.seed))?;
    Ok(Outcome {
        text: figures.text(arguments.json),
        is_good: figures.stale == 0 || arguments.without.any(),
    })
}
