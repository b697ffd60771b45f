//! Write-behind across kills of everything but the database: the crash test, for a short while. `cargo run --release -p tests --bin crash -- --help` tells
//! how to run it for longer.

use std::time::Duration;

use serde_json::Value;
use tests::driver::{Head, count};

/// A round of the plan: each sort of kill once.
const ROUND: &str = "8";
const TWO_ROUNDS: &str = "16";

static CRASH: Head = Head::new(env!("CARGO_BIN_EXE_crash"), Duration::from_secs(300));

/// The figures of a run that ended well.
async fn figures(kills: &str, seed: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["--kills", kills, "--seed", seed, "--json"];
    arguments.extend(more);
    let figures = CRASH.figures(&arguments).await;
    let fields = figures.as_object().expect("an object");
    let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    let known = [
        "acknowledged",
        "doubled",
        "kills",
        "lost",
        "out_of_order",
        "seed",
    ];
    assert_eq!(names, known);
    assert_eq!(figures["kills"].to_string(), kills);
    assert_eq!(figures["seed"].to_string(), seed);
    assert!(count(&figures, "acknowledged") > 0, "{figures}");
    figures
}

#[tokio::test]
async fn what_is_acknowledged_is_written_once_and_in_order() {
    let figures = figures(TWO_ROUNDS, "1", &[]).await;
    for name in ["lost", "doubled", "out_of_order"] {
        assert_eq!(count(&figures, name), 0, "{name}: {figures}");
    }
}

#[tokio::test]
async fn without_an_append_only_file_writes_are_lost() {
    let figures = figures(ROUND, "2", &["--without-aof"]).await;
    assert!(count(&figures, "lost") > 0, "{figures}");
}

#[tokio::test]
async fn without_the_sequence_number_writes_are_doubled() {
    let figures = figures(ROUND, "3", &["--without-sequence"]).await;
    assert!(count(&figures, "doubled") > 0, "{figures}");
    assert_eq!(count(&figures, "lost"), 0, "{figures}");
}

#[tokio::test]
async fn merged_the_wrong_way_round_writes_are_out_of_order() {
    let figures = figures(ROUND, "4", &["--without-order"]).await;
    assert!(count(&figures, "out_of_order") > 0, "{figures}");
    assert_eq!(count(&figures, "lost"), 0, "{figures}");
}

#[tokio::test]
async fn a_wrong_argument_is_named() {
    let wrong = [
        (&["--kils", "3"][..], "`--kils` is not known"),
        (&["--kills"], "`--kills` needs a number"),
        (
            &["--seed", "x"],
            "`--seed` needs a whole number that is not too large, not `x`",
        ),
        (&["--kills", "0"], "`--kills` has to be at least 1"),
    ];
    CRASH.names_wrong_arguments(&wrong, "--without-aof").await;
}
