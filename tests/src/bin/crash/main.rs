//! The crash test of write-behind: processes that write and processes that work are killed at any moment, Redis too, over and over. At the end
//! every write that was acknowledged has to be in PostgreSQL, once, and in its order.

mod arguments;
mod ledger;
mod member;
mod referee;
mod words;

use std::process::ExitCode;

use tests::driver::{Outcome, Program, Trouble};

use arguments::Arguments;
use member::ROLE;

const PROGRAM: Program = Program {
    name: "crash",
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
        is_good: figures.are_good() || arguments.without.any(),
    })
}
