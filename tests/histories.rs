//! Checked histories, for a short while. `cargo run --release -p tests --bin histories -- --help` tells how to run it for longer, and with faults.

use std::time::Duration;

use serde_json::Value;
use tests::driver::{Head, count};

static HISTORIES: Head = Head::new(env!("CARGO_BIN_EXE_histories"), Duration::from_secs(600));

/// Enough for what is broken to be met.
const FEW: &str = "40000";

fn arguments<'a>(reads: &'a str, seed: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--reads", reads, "--seed", seed, "--json"];
    arguments.extend(more);
    arguments
}

/// The figures of a run without violations.
async fn figures(reads: &str, seed: &str, more: &[&str]) -> Value {
    let figures = HISTORIES.figures(&arguments(reads, seed, more)).await;
    println!("{figures}");
    assert!(
        count(&figures, "checked") >= reads.parse().unwrap(),
        "{figures}"
    );
    assert_eq!(count(&figures, "violations"), 0, "{figures}");
    assert_eq!(figures["seed"].to_string(), seed);
    figures
}

/// Of what sorts the violations are that a broken mechanism leads to.
async fn violations(seed: &str, more: &[&str]) -> Vec<String> {
    let output = HISTORIES.run(&arguments(FEW, seed, more)).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let figures: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let found = figures["violations_by_check"]
        .as_object()
        .expect("an object");
    assert!(count(&figures, "violations") > 0, "{figures}");
    assert!(!figures["details"].as_array().expect("a list").is_empty());
    found.keys().cloned().collect()
}

#[tokio::test]
async fn no_read_returns_what_its_level_does_not_allow() {
    let figures = figures("100000", "1", &[]).await;
    assert_eq!(
        figures["excused"].to_string(),
        "{}",
        "nothing was to be excused"
    );
    assert!(count(&figures, "writes") > 500, "{figures}");
    for mode in [
        "eventual",
        "fenced",
        "fenced, by version",
        "strict",
        "fenced, in memory",
        "strict, in memory",
    ] {
        assert!(count(&figures["reads"], mode) > 1000, "{mode}: {figures}");
    }
}

#[tokio::test]
async fn faults_make_nothing_stale_but_what_is_documented() {
    let figures = figures("40000", "8", &["--faults"]).await;
    let faults = figures["faults"].as_object().expect("an object");
    assert_eq!(faults.len(), 11, "{figures}");
    assert_eq!(
        figures["failovers"].as_array().map(Vec::len),
        Some(1),
        "{figures}"
    );
    assert!(count(&figures, "writes") > 500, "{figures}");
}

#[tokio::test]
async fn what_is_kept_and_not_delivered_stays_stale() {
    let faults = "--faults=redis-hung,cut,redis-killed,replies-lost";
    let found = violations("9", &[faults, "--break", "backlog"]).await;
    assert!(
        found.contains(&"stale_after_invalidation".to_owned()),
        "{found:?}"
    );
}

#[tokio::test]
async fn values_that_are_stored_without_their_lease_are_stale() {
    let found = violations("2", &["--break", "late-fill"]).await;
    assert!(
        found.contains(&"stale_after_invalidation".to_owned()),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_lost_invalidation_leaves_the_old_value() {
    let found = violations("3", &["--break", "invalidation"]).await;
    assert!(
        found.contains(&"stale_after_invalidation".to_owned()),
        "{found:?}"
    );
}

#[tokio::test]
async fn strict_writes_that_are_not_announced_are_not_linearizable() {
    let found = violations("4", &["--break", "intents"]).await;
    assert!(found.contains(&"not_linearizable".to_owned()), "{found:?}");
}

#[tokio::test]
async fn without_the_test_of_versions_the_older_one_stays() {
    let found = violations("5", &["--break", "version-test"]).await;
    assert!(
        found.contains(&"stale_after_invalidation".to_owned()),
        "{found:?}"
    );
}

#[tokio::test]
async fn values_that_do_not_expire_are_too_old() {
    let found = violations("6", &["--break", "expiry"]).await;
    assert!(found.contains(&"past_its_ttl".to_owned()), "{found:?}");
}

#[tokio::test]
async fn what_is_read_before_it_is_written_is_seen() {
    let found = violations("7", &["--break", "commit"]).await;
    assert!(
        found.contains(&"read_before_its_write".to_owned()),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_wrong_argument_is_named() {
    let wrong = [
        (&["--read", "3"][..], "`--read` is not known"),
        (&["--reads"], "`--reads` needs a number"),
        (
            &["--seed", "x"],
            "`--seed` needs a whole number that is not too large, not `x`",
        ),
        (&["--reads", "0"], "`--reads` has to be at least 1"),
        (&["--break", "it"], "`--break it` is not known"),
        (&["--faults=rain"], "there is no fault `rain`"),
    ];
    HISTORIES
        .names_wrong_arguments(&wrong, "--break late-fill")
        .await;
}
