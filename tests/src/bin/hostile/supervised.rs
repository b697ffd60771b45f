//! A target in a process of its own.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use tests::hostile::{Found, Target, Trail};

use super::arguments::Arguments;

/// No case takes so long, however busy the machine: its reader would not come to an end.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether nothing was found; what was, is printed here or there.
pub(crate) fn try_on(target: &dyn Target, arguments: &Arguments) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trail = folder.path().join("trail");
    let mut child = spawn(target, arguments, &trail).expect("a program can run itself");
    let (problem, cases) = match ended(&mut child, &trail) {
        Ok(status) if status.code().is_some_and(|code| code < 2) => return status.success(),
        Ok(status) => (format!("the process ended: {status}"), Trail::read(&trail)),
        Err(hung) => (format!("it takes longer than {LONGEST:?}"), vec![hung]),
    };
    for number in cases {
        let found = Found {
            target: target.name(),
            seed: arguments.seed,
            number,
            bytes: super::plan(arguments).case(target, number),
            problem: problem.clone(),
        };
        println!("{found}");
    }
    false
}

fn spawn(target: &dyn Target, arguments: &Arguments, trail: &Path) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--target", target.name(), "--trail"])
        .arg(trail);
    for (name, number) in [
        ("--cases", arguments.cases),
        ("--seed", arguments.seed),
        ("--from", arguments.from),
    ] {
        command.arg(name).arg(number.to_string());
    }
    if arguments.json {
        command.arg("--json");
    }
    command.spawn()
}

/// How it ended; the error is a case that did not come to its end.
fn ended(child: &mut Child, trail: &Path) -> Result<ExitStatus, u64> {
    let mut seen: Vec<(u64, Instant)> = Vec::new();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(status);
        }
        let now = Trail::read(trail);
        seen.retain(|(case, _)| now.contains(case));
        for case in now {
            if !seen.iter().any(|(known, _)| *known == case) {
                seen.push((case, Instant::now()));
            }
        }
        if let Some((case, _)) = seen.iter().find(|(_, since)| since.elapsed() > LONGEST) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(*case);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
