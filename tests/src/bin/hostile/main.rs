//! Everything that reads what anyone may have written, tried on very many bytes that nobody should have written.
//!
//! Each target runs in a process of its own, so that of a reader that overflows its stack, asks for more memory than there is, or comes to no end
//! it can be told at which bytes that was.

mod arguments;
mod supervised;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use arguments::{Arguments, Asked};
use serde_json::json;
use tests::hostile::{Meter, Plan, Report, Target, Trail, run, targets};

/// How it ends where it was asked for wrongly.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    match Asked::of(std::env::args().skip(1)) {
        Ok(Asked::Help) => {
            println!("{}", arguments::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Asked::Run(arguments)) => attack(&arguments),
        Err(problem) => {
            eprintln!("hostile: {problem}\n\n{}", arguments::USAGE);
            ExitCode::from(TROUBLE)
        }
    }
}

fn meter() -> Meter {
    Meter::new(|work| allocation_counter::measure(work).bytes_total)
}

fn attack(arguments: &Arguments) -> ExitCode {
    let targets = targets();
    let name = arguments.target.as_deref();
    let all = targets.iter().map(|target| &**target);
    let chosen: Vec<&dyn Target> = all
        .filter(|target| name.is_none_or(|name| name == target.name()))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = targets.iter().map(|target| target.name()).collect();
        eprintln!("hostile: the targets are {}", names.join(", "));
        return ExitCode::from(TROUBLE);
    }
    if let Some(folder) = &arguments.corpus {
        return match chosen
            .iter()
            .try_for_each(|target| write_corpus(*target, arguments, folder))
        {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("hostile: {}: {error}", folder.display());
                ExitCode::from(TROUBLE)
            }
        };
    }
    let mut is_good = true;
    for target in chosen {
        is_good &= match (&arguments.bytes, &arguments.trail) {
            (Some(bytes), _) => again(target, bytes),
            (None, Some(trail)) => match Trail::create(trail) {
                Ok(trail) => try_on(target, arguments, &trail),
                Err(error) => {
                    eprintln!("hostile: {}: {error}", trail.display());
                    return ExitCode::from(TROUBLE);
                }
            },
            (None, None) => supervised::try_on(target, arguments),
        };
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn again(target: &dyn Target, bytes: &[u8]) -> bool {
    let seen = target.check(bytes, meter());
    println!("{}: {seen:?}", target.name());
    seen.is_ok()
}

fn write_corpus(target: &dyn Target, arguments: &Arguments, folder: &Path) -> io::Result<()> {
    let plan = plan(arguments);
    for number in plan.from..plan.from + plan.cases {
        let file = folder.join(format!("{}-{number}", target.name()));
        std::fs::write(file, plan.case(target, number))?;
    }
    Ok(())
}

fn plan(arguments: &Arguments) -> Plan {
    Plan {
        seed: arguments.seed,
        from: arguments.from,
        cases: arguments.cases,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn try_on(target: &dyn Target, arguments: &Arguments, trail: &Trail) -> bool {
    let plan = plan(arguments);
    let begun = Instant::now();
    let report = run(target, plan, meter(), Some(trail));
    let Report {
        cases,
        accepted,
        once_sealed,
        found,
    } = &report;
    if arguments.json {
        let found = found.as_ref().map(ToString::to_string);
        println!(
            "{}",
            json!({ "target": target.name(), "seed": plan.seed, "cases": cases, "accepted": accepted,
                "once_sealed": once_sealed, "found": found })
        );
    } else {
        println!(
            "{:10} {cases:>10} cases  {accepted:>9} accepted  {once_sealed:>9} once sealed  {:>6.1} s  seed {}",
            target.name(),
            begun.elapsed().as_secs_f64(),
            plan.seed
        );
        if let Some(found) = found {
            println!("{found}");
        }
    }
    found.is_none()
}
