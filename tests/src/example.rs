//! The examples, run as a user runs them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs an example, built as the tests themselves were.
pub fn example(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Output {
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
    let program = program.current_dir(workspace).args(args);
    without_settings(program)
        .envs(variables.iter().copied())
        .output()
        .expect("it was just built")
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
