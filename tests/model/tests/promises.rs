//! The promises hold in every state of configurations that are small enough for every run of the tests. `cargo run --release -p model` checks the big ones.

use std::time::Duration;

use model::{Configuration, Outcome, Protocol, check, sizes};

const LIMIT: Duration = Duration::from_secs(600);

fn holds(configuration: Configuration) {
    let report = check(&Protocol::of(configuration), LIMIT);
    println!("{}: {} states", configuration.name, report.states);
    assert_eq!(report.outcome, Outcome::Holds, "{}", configuration.name);
}

fn full(name: &str) -> Configuration {
    sizes::named(name).unwrap()
}

/// With one reader in each of the two processes.
fn by_two(name: &str) -> Configuration {
    Configuration {
        readers: &[0, 1],
        ..full(name)
    }
}

/// With one reader.
fn by_one(name: &str) -> Configuration {
    Configuration {
        readers: &[0],
        ..full(name)
    }
}

#[test]
fn fenced_reads_are_never_older_than_an_invalidation() {
    holds(full("fenced"));
    holds(full("fenced-values"));
    holds(by_two("fenced-clients"));
    holds(by_one("fenced-losses"));
    holds(by_two("fenced-flush"));
    holds(by_one("fenced-each"));
}

#[test]
fn strict_reads_are_linearizable() {
    holds(full("strict"));
    holds(by_two("strict-clients"));
    holds(by_two("strict-values"));
    holds(by_one("strict-losses"));
    holds(by_two("strict-through"));
}

#[test]
fn overlapping_write_throughs_leave_no_older_value() {
    holds(by_two("through"));
    holds(by_two("through-clients"));
    holds(by_two("through-flush"));
    holds(by_one("through-losses"));
    holds(by_one("three-sorts-of-writers"));
    holds(full("versions"));
    holds(by_two("versions-clients"));
}

#[test]
fn eventual_callers_load_one_at_a_time() {
    holds(full("eventual"));
    holds(by_one("eventual-each"));
}

#[test]
fn two_keys_of_one_transaction_keep_to_the_same_promises() {
    holds(by_two("fenced-2-keys-crash"));
    holds(by_two("strict-2-keys"));
}

#[test]
fn a_caller_that_was_passed_by_and_one_that_wakes_early_get_nothing_older() {
    holds(by_two("fenced-passed-by"));
    holds(full("fenced-wakes-early"));
}
