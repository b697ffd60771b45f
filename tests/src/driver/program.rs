//! How a driver begins and ends.

use std::fmt::Display;
use std::process::ExitCode;

use super::Asked;

/// How it ends where it could not be carried out, or was asked for wrongly.
const TROUBLE: u8 = 2;

/// A driver by its name and its help.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// As the command line has it.
    pub name: &'static str,
    /// What `--help` says.
    pub usage: &'static str,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// For standard output.
    pub text: String,
    /// Whether everything held that had to.
    pub is_good: bool,
}

impl Program {
    /// Does what the command line asks for: 0 if the outcome is good, 1 if it is not, 2 if it could not be found out.
    pub fn run<A, E: Display>(
        self,
        asked: Result<Asked<A>, String>,
        run: impl FnOnce(&A) -> Result<Outcome, E>,
    ) -> ExitCode {
        let Self { name, usage } = self;
        let arguments = match asked {
            Ok(Asked::Run(arguments)) => arguments,
            Ok(Asked::Help) => {
                println!("{usage}");
                return ExitCode::SUCCESS;
            }
            Err(problem) => {
                eprintln!("{name}: {problem}\n\n{usage}");
                return ExitCode::from(TROUBLE);
            }
        };
        match run(&arguments) {
            Ok(outcome) => {
                println!("{}", outcome.text);
                if outcome.is_good {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                }
            }
            Err(trouble) => {
                eprintln!("{name}: {trouble}");
                ExitCode::from(TROUBLE)
            }
        }
    }
}
