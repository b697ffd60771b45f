//! The examples, run as a user runs them.

use std::env;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Runs an example, built as the tests themselves were.
pub fn example(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Output {
    command(name, args, variables)
        .output()
        .expect("it was just built")
}

/// Runs an example whose standard error is a terminal, and gives what is written there too.
pub fn example_on_a_terminal(name: &str, args: &[&str]) -> (Output, String) {
    let (mut terminal, end) = terminal();
    // Until nobody has the other end any more, which a terminal tells as an error.
    let reader = thread::spawn(move || {
        let mut written = Vec::new();
        let _ = terminal.read_to_end(&mut written);
        String::from_utf8_lossy(&written).into_owned()
    });
    let mut command = command(name, args, &[]);
    let output = command.stderr(end).output().expect("it was just built");
    drop(command);
    (output, reader.join().expect("the reader does not panic"))
}

/// Both ends of a terminal.
fn terminal() -> (File, File) {
    let here = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&here)
        .and_then(|()| unlockpt(&here))
        .expect("it is ours");
    let name = ptsname(&here, Vec::new()).expect("it has a name");
    let there = OpenOptions::new()
        .read(true)
        .write(true)
        .open(OsStr::from_bytes(name.as_bytes()))
        .expect("it was unlocked");
    (here.into(), there)
}

/// Builds the example, and gives the command that runs it.
fn command(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let workspace = workspace.expect("this package is in a folder of the workspace");
    // The members that `tests/run` builds: their features are those of the artefacts that are there already.
    cargo
        .current_dir(workspace)
        .args(["build", "--quiet", "--workspace", "--exclude", "benches"]);
    let built = without_settings(cargo.args(["--profile", &profile(), "--example", name])).output();
    let built = built.expect("cargo runs");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let mut program = Command::new(folder().join("examples").join(name));
    program.current_dir(workspace).args(args);
    without_settings(&mut program).envs(variables.iter().copied());
    program
}

/// The example sees none of the user's settings, and cargo none of what it set for this test: build scripts run again by it.
fn without_settings(command: &mut Command) -> &mut Command {
    for (variable, _) in env::vars_os() {
        let of_cargo = ["CARGO_MANIFEST_", "CARGO_PKG_"];
        let name = variable.to_string_lossy();
        let of_user = name.starts_with("CACHE_") || name == "DATABASE_URL";
        if of_user || of_cargo.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&variable);
        }
    }
    command
}

fn profile() -> String {
    match folder().file_name() {
        Some(name) if name == "debug" => "dev".to_owned(),
        Some(name) => name.to_string_lossy().into_owned(),
        None => panic!("a test runs in a folder of its profile"),
    }
}

/// The folder that this test was built into, `<target>/<profile>`: the test is `deps/<test>-…` there.
fn folder() -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    let folder = test.ancestors().nth(2);
    folder
        .expect("a test is in a folder of its profile")
        .to_owned()
}
