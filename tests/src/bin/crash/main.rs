//! The crash test of write-behind: processes that write and processes that work are killed at any moment, Redis too, over and over. At the end
//! every write that was acknowledged has to be in PostgreSQL, once, and in its order.

mod arguments;
mod ledger;
mod member;
mod referee;
mod words;

use std::process::ExitCode;

use arguments::{Arguments, Asked};
use member::Settings;

/// How it ends where it could not be carried out, or was asked for wrongly.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    if let Some(settings) = Settings::of_this_process() {
        member::run(settings);
    }
    match Asked::of(std::env::args().skip(1)) {
        Ok(Asked::Help) => {
            println!("{}", arguments::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Asked::Run(arguments)) => judge(&arguments),
        Err(problem) => {
            eprintln!("crash: {problem}\n\n{}", arguments::USAGE);
            ExitCode::from(TROUBLE)
        }
    }
}

fn judge(arguments: &Arguments) -> ExitCode {
    match referee::run(arguments) {
        Ok(figures) => {
            println!("{}", figures.text(arguments.json));
            if figures.are_good() || arguments.without.any() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(trouble) => {
            eprintln!("crash: seed {}: {trouble}", arguments.seed);
            ExitCode::from(TROUBLE)
        }
    }
}
