//! The regions test: two regions, each with a Redis server and several processes, and a bus between them. All of them write and read the same rows while servers are killed,
//! emptied and stopped, and processes too. At the end no entry of either region may be older than the last invalidation of its key.

mod arguments;
mod database;
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
            eprintln!("regions: {problem}\n\n{}", arguments::USAGE);
            ExitCode::from(TROUBLE)
        }
    }
}

fn judge(arguments: &Arguments) -> ExitCode {
    match referee::run(arguments) {
        Ok(figures) => {
            println!("{}", figures.text(arguments.json));
            if figures.stale == 0 || arguments.without.any() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(trouble) => {
            eprintln!("regions: seed {}: {trouble}", arguments.seed);
            ExitCode::from(TROUBLE)
        }
    }
}
