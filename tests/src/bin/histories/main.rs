//! Checked histories: several processes read and write rows of PostgreSQL through caches on one Redis, and every read and write is written down with the times at which it
//! began and ended. What was read is held against what each consistency level promises, while servers and processes are killed, stopped, emptied and replaced.

mod arguments;
mod checker;
mod clock;
mod keys;
mod member;
mod referee;
mod words;

use std::process::ExitCode;

use tests::driver::{Outcome, Program, Trouble};

use arguments::Arguments;
use member::ROLE;

const PROGRAM: Program = Program {
    name: "histories",
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
        is_good: figures.violations == 0,
    })
}
