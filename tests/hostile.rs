//! Everything that reads what anyone may have written, tried on bytes that nobody should have written. `cargo run --release -p tests --bin hostile -- --help` tells
//! how to try it on more of them.

use std::process::Command;

use serde_json::Value;
use tests::hostile::{Meter, Plan, Seen, Target, run};

/// Of entries, which anybody who can reach the server can write.
const MANY: u64 = 1_000_000;
/// Of each of the others.
const SOME: u64 = 100_000;

/// Tries one target, and makes sure that its cases say something.
fn attack(name: &str, cases: u64) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostile"));
    command.args(["--seed", "1", "--json", "--target", name]);
    let output = command.arg("--cases").arg(cases.to_string()).output();
    let output = output.expect("the program starts");
    let (said, complaints) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{complaints}");
    let report: Value = serde_json::from_str(&said).expect("one object");
    assert_eq!(count(&report, "cases"), cases);
    let meant = count(&report, "accepted") + count(&report, "once_sealed");
    assert!(
        meant > cases / 100,
        "hardly any case means something: {report}"
    );
    assert!(meant < cases, "every case means something: {report}");
    report
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().expect("a number")
}

#[test]
fn a_million_entries_are_missed_or_the_value_that_was_written_and_cost_no_more_than_their_length() {
    let report = attack("entries", MANY);
    assert!(
        count(&report, "once_sealed") > MANY / 100,
        "hardly anything reaches the codecs: {report}"
    );
}

#[test]
fn records_of_the_write_behind_log_are_refused_or_the_arguments_that_were_written() {
    let report = attack("records", SOME);
    assert!(
        count(&report, "once_sealed") > SOME / 100,
        "hardly anything reaches the codecs: {report}"
    );
}

#[test]
fn two_argument_lists_never_share_a_key_and_a_key_is_read_as_the_list_that_it_was_written_for() {
    attack("keys", SOME);
}

#[test]
fn templates_are_refused_with_places_of_theirs_or_mean_the_same_to_the_macros_and_at_run_time() {
    attack("templates", SOME);
}

#[test]
fn replies_of_any_form_are_entries_of_the_log_or_none() {
    attack("replies", SOME);
}

#[test]
fn bytes_of_the_bus_are_events_that_stay_the_same_or_none() {
    attack("events", SOME);
}

#[test]
fn files_of_warm_up_are_refused_or_give_what_was_written() {
    attack("segments", SOME);
    attack("hot_keys", SOME);
}

/// Breaks a promise once in a while.
struct Broken;

impl Target for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn make(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        (0..4).map(|_| random.u8(..)).collect()
    }

    fn check(&self, bytes: &[u8], _: Meter) -> Result<Seen, String> {
        match bytes[0] {
            7 => Err("a seven".to_owned()),
            _ => Ok(Seen::Refused),
        }
    }
}

#[test]
fn what_is_found_can_be_done_again_from_its_seed_and_number() {
    let plan = |from, cases, threads| Plan {
        seed: 3,
        from,
        cases,
        threads,
    };
    let found = run(&Broken, plan(0, 10_000, 1), Meter::blind(), None).found;
    let found = found.expect("one of 256 is a seven");
    let again = run(&Broken, plan(found.number, 1, 2), Meter::blind(), None).found;
    assert_eq!(again.as_ref(), Some(&found));
    let text = found.to_string();
    assert!(
        text.contains(&format!("seed 3, case {}", found.number)),
        "{text}"
    );
}
