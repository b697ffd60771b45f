//! The program that removes one mechanism after another, asked for what it can do. `cargo run --release -p tests --bin mutants` has it do so.

use std::collections::HashSet;
use std::process::{Command, Output};

use serde_json::Value;

fn mutants(arguments: &[&str]) -> (Output, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mutants"));
    let output = command.args(arguments).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complaints) = (text(&output.stdout), text(&output.stderr));
    (output, said, complaints)
}

#[test]
fn each_mutant_says_what_is_removed_and_has_a_check() {
    let (output, said, complaints) = mutants(&["--list", "--json"]);
    assert!(output.status.success(), "{complaints}");
    let known: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    let names: HashSet<_> = known.iter().map(|it| it["mutant"].as_str()).collect();
    assert!(
        names.len() >= 25 && names.len() == known.len(),
        "{}",
        names.len()
    );
    for mutant in &known {
        assert!(
            mutant["description"]
                .as_str()
                .is_some_and(|it| it.ends_with('.')),
            "{mutant}"
        );
        let checks = mutant["checks"].as_array().expect("a list");
        assert!(!checks.is_empty(), "{mutant}");
    }
}

#[test]
fn those_that_are_asked_for_are_taken_alone_and_in_their_order() {
    let (_, said, _) = mutants(&["--list", "--only", "TokenPerProcess,ChecksumIgnored"]);
    let names: Vec<_> = said
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["TokenPerProcess", "ChecksumIgnored"]);
}

#[test]
fn a_wrong_argument_is_named() {
    for (arguments, problem) in [
        (&["--onyl", "x"][..], "`--onyl` is not known"),
        (&["--only"], "`--only` needs names"),
        (&["--only", "Nothing"], "there is no mutant `Nothing`"),
    ] {
        let (output, said, complaints) = mutants(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(said, "");
        assert!(complaints.contains(problem), "{complaints}");
        assert!(complaints.contains("Usage:"), "{complaints}");
    }
    let (output, usage, _) = mutants(&["--help"]);
    assert!(
        output.status.success() && usage.contains("--only"),
        "{usage}"
    );
}
