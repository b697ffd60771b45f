//! The soak: a cache on Redis and one in memory under the load of many callers, for as long as one likes, while Redis is troubled. What a cache holds has to
//! stay within its bounds, and what it answers has to be right and in time.

mod arguments;
mod caller;
mod faults;
mod gauges;
mod run;
mod shop;
mod verdict;

use std::process::ExitCode;

use arguments::Asked;

/// How it ends where it was asked for wrongly.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    match Asked::of(std::env::args().skip(1)) {
        Ok(Asked::Help) => {
            println!("{}", arguments::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Asked::Run(arguments)) => {
            if arguments.verbose {
                let logs = tracing_subscriber::fmt().with_writer(std::io::stderr);
                logs.with_max_level(tracing::Level::INFO).init();
            }
            let verdict = run::run(&arguments);
            if arguments.json {
                println!("{}", verdict.json());
            } else {
                print!("{verdict}");
            }
            if verdict.violations() == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(problem) => {
            eprintln!("soak: {problem}\n\n{}", arguments::USAGE);
            ExitCode::from(TROUBLE)
        }
    }
}
