//! The checks, built with the switches.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Trouble;
use crate::checks::{Check, HISTORIES};

/// Between the flags in `CARGO_ENCODED_RUSTFLAGS`.
const BETWEEN: &str = "\u{1f}";

/// The programs of these checks, by the names of their targets.
pub(crate) fn programs(checks: &BTreeSet<Check>) -> Result<HashMap<String, PathBuf>, Trouble> {
    let mut cargo = command(checks)?;
    eprintln!("mutants: building the checks");
    let mut cargo = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let messages = cargo.stdout.take().ok_or("cargo has no stdout")?;
    let mut programs = HashMap::new();
    for message in BufReader::new(messages).lines() {
        let message: Value = serde_json::from_str(&message?)?;
        programs.extend(program(&message));
    }
    if !cargo.wait()?.success() {
        return Err("the checks do not build".into());
    }
    Ok(programs)
}

fn command(checks: &BTreeSet<Check>) -> Result<Command, Trouble> {
    // The package's programs are built with its tests.
    let is_test = |check: &&Check| matches!(check, Check::Test { .. });
    let targets = checks.iter().filter(is_test).map(|check| check.target());
    let targets: BTreeSet<_> = targets.collect();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(package().join(".."))
        .args(["test", "--no-run", "--package", "tests"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(targets.iter().flat_map(|target| ["--test", target]))
        .env("CARGO_TARGET_DIR", folder()?)
        // Half of the time and most of the size of a debug build are for a debugger.
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    // What `cargo run` says of this program is nothing to the checks: build scripts that look at it would run again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    // Whatever flags there are stay. The encoded ones are the only ones, where there are any.
    if let Ok(flags) = env::var("CARGO_ENCODED_RUSTFLAGS") {
        cargo.env(
            "CARGO_ENCODED_RUSTFLAGS",
            [&flags, "--cfg", "mutants"].join(BETWEEN),
        );
    } else {
        let flags = env::var("RUSTFLAGS").unwrap_or_default();
        cargo.env("RUSTFLAGS", format!("{flags} --cfg mutants"));
    }
    Ok(cargo)
}

/// The folder of this package: tests expect to run in it.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Beside that of the profile which this program was built by. Its own: other flags build every dependency anew.
fn folder() -> Result<PathBuf, Trouble> {
    let own = env::current_exe()?;
    let target = own.ancestors().nth(2);
    Ok(target
        .ok_or("this program is in no folder of cargo's")?
        .join("mutants"))
}

fn program(message: &Value) -> Option<(String, PathBuf)> {
    let target = &message["target"];
    let program = message["executable"].as_str()?;
    let kind = target["kind"].as_array()?.first()?;
    let name = target["name"].as_str()?;
    // Of one name there may be a program and the test of it.
    let is_check = (kind == "test") != (name == HISTORIES);
    is_check.then(|| (name.to_owned(), program.into()))
}
