//! Removes one mechanism after another and looks which check notices. A mutant that nothing catches is a test that is missing.
//!
//! The checks are built once, with `--cfg mutants` and into a folder of their own; the environment of each run says what is removed.

mod arguments;
mod build;
mod checks;
#[path = "../../../../cache-runtime/src/mutants/list.rs"]
mod list;
mod report;
mod run;
mod side_by_side;
mod trial;

use std::process::ExitCode;

use arguments::{Arguments, Asked};

/// Why it could not be found out.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// How it ends where it could not be carried out, or was asked for wrongly.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    match Asked::of(std::env::args().skip(1)) {
        Ok(Asked::Help) => {
            println!("{}", arguments::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Asked::List(arguments)) => {
            for mutant in arguments.mutants {
                println!("{}", report::known(mutant, arguments.json));
            }
            ExitCode::SUCCESS
        }
        Ok(Asked::Run(arguments)) => judge(&arguments),
        Err(problem) => {
            eprintln!("mutants: {problem}\n\n{}", arguments::USAGE);
            ExitCode::from(TROUBLE)
        }
    }
}

fn judge(arguments: &Arguments) -> ExitCode {
    match trial::hold(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            eprintln!("mutants: {trouble}");
            ExitCode::from(TROUBLE)
        }
    }
}
