//! Checks the model at its full sizes: `cargo run --release -p model -- --help`.

use std::process::ExitCode;
use std::time::Duration;

use model::{Configuration, Mutant, Outcome, Protocol, check, counterexample, sizes};

const USAGE: &str = "\
Goes through every state of the protocol's model, and says whether its promises hold in all of them.

Usage: model [--limit SECONDS] [--list | --mutants | CONFIGURATION…]

  --limit SECONDS  the most that one configuration may take (300); one that takes longer holds so far
  --list           the names of the configurations
  --mutants        takes one mechanism at a time out of the protocol, and shows how a promise breaks without it

Ends with 1 if a promise does not hold, a sight is missing, or a mutant is not caught.";

/// How it ends where it was asked for wrongly.
const TROUBLE: u8 = 2;

enum Asked {
    Help,
    List,
    Mutants,
    Check(Vec<Configuration>),
}

struct Arguments {
    asked: Asked,
    limit: Duration,
}

impl Arguments {
    fn of(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut limit = Duration::from_secs(300);
        let mut asked = None;
        let mut named = Vec::new();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--help" | "-h" => asked = Some(Asked::Help),
                "--list" => asked = Some(Asked::List),
                "--mutants" => asked = Some(Asked::Mutants),
                "--limit" => {
                    let seconds = arguments.next().and_then(|text| text.parse().ok());
                    limit = Duration::from_secs(seconds.ok_or("--limit takes whole seconds")?);
                }
                name => named.push(named_so(name)?),
            }
        }
        if named.is_empty() {
            named = sizes::ALL.to_vec();
        }
        Ok(Self {
            asked: asked.unwrap_or(Asked::Check(named)),
            limit,
        })
    }
}

fn named_so(name: &str) -> Result<Configuration, String> {
    sizes::named(name).ok_or(format!(
        "no configuration is called `{name}`: --list has their names"
    ))
}

fn main() -> ExitCode {
    let arguments = match Arguments::of(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("model: {problem}\n\n{USAGE}");
            return ExitCode::from(TROUBLE);
        }
    };
    let is_good = match arguments.asked {
        Asked::Help => {
            println!("{USAGE}");
            true
        }
        Asked::List => {
            for configuration in sizes::ALL {
                println!("{}", configuration.name);
            }
            true
        }
        Asked::Mutants => mutants(arguments.limit),
        Asked::Check(configurations) => checks(&configurations, arguments.limit),
    };
    ExitCode::from(u8::from(!is_good))
}

fn checks(configurations: &[Configuration], limit: Duration) -> bool {
    println!(
        "{:<26} {:>10} {:>6} {:>8}  outcome",
        "configuration", "states", "depth", "seconds"
    );
    let mut is_good = true;
    for configuration in configurations {
        let report = check(&Protocol::of(*configuration), limit);
        let outcome = match &report.outcome {
            Outcome::Holds => "holds in all states".to_owned(),
            Outcome::HoldsSoFar => "holds so far: out of time".to_owned(),
            Outcome::Unseen(names) => format!("NEVER SEEN: {}", names.join("; ")),
            Outcome::Broken(found) => {
                format!(
                    "BROKEN: {}\n    {}",
                    found.promise,
                    found.steps.join("\n    ")
                )
            }
        };
        is_good &= matches!(report.outcome, Outcome::Holds | Outcome::HoldsSoFar);
        println!(
            "{:<26} {:>10} {:>6} {:>8.1}  {outcome}",
            configuration.name,
            report.states,
            report.depth,
            report.time.as_secs_f64()
        );
    }
    is_good
}

fn mutants(limit: Duration) -> bool {
    let mut is_good = true;
    for &mutant in Mutant::ALL {
        let (configuration, promise) = mutant.caught_by();
        let without = Protocol {
            configuration,
            without: Some(mutant),
        };
        let name = format!("{mutant:?}");
        match counterexample(&without, promise, limit) {
            Some(steps) => println!("{name:<24} {promise}\n    {}", steps.join("\n    ")),
            None => {
                println!("{name:<24} NOT CAUGHT");
                is_good = false;
            }
        }
    }
    is_good
}
