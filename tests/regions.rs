//! Two regions through kills and absences of everything between them: the regions test, for a short while. `cargo run --release -p tests --bin regions -- --help` tells how to run
//! it for longer.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Mutex;

/// Each sort of fault comes once.
const WRITES: &str = "1600";
/// Enough for some of them.
const FEW: &str = "600";

/// Only a run that hangs takes so long: it gives up by itself before.
const LONGEST_RUN: Duration = Duration::from_secs(400);

/// Each run is a dozen processes: one run at a time.
static TURN: Mutex<()> = Mutex::const_new(());

async fn regions(arguments: &[&str]) -> Output {
    let _turn = TURN.lock().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_regions"));
    let output = command.args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(LONGEST_RUN, output).await;
    output.expect("the run ends").expect("the program starts")
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The figures of a run that ended well.
async fn figures(writes: &str, seed: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["--writes", writes, "--away", "1", "--seed", seed, "--json"];
    arguments.extend(more);
    let output = regions(&arguments).await;
    let (figures, complaints) = said(&output);
    assert!(output.status.success(), "{figures}\n{complaints}");
    let figures: Value = serde_json::from_str(&figures).expect("one object");
    assert!(
        count(&figures, "writes") >= writes.parse().unwrap(),
        "{figures}"
    );
    assert!(count(&figures, "checked") > 100, "{figures}");
    figures
}

fn count(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().expect("a number")
}

#[tokio::test]
async fn no_entry_is_older_than_the_last_invalidation_of_its_key() {
    let figures = figures(WRITES, "1", &[]).await;
    println!("{figures}");
    assert_eq!(count(&figures, "stale"), 0, "{figures}");
    assert_eq!(count(&figures, "faults"), 8, "{figures}");
    assert!(count(&figures, "applied") > 0, "{figures}");
    assert!(count(&figures, "calm_p99") > 0, "{figures}");
}

#[tokio::test]
async fn acknowledged_before_they_are_done_events_are_lost() {
    let figures = figures(FEW, "2", &["--without-waiting"]).await;
    assert!(count(&figures, "stale") > 0, "{figures}");
}

#[tokio::test]
async fn without_a_takeover_what_a_process_had_read_is_lost_with_it() {
    let figures = figures(FEW, "3", &["--without-takeover"]).await;
    assert!(count(&figures, "stale") > 0, "{figures}");
}

#[tokio::test]
async fn without_a_flush_what_a_region_has_missed_stays() {
    let figures = figures(FEW, "4", &["--without-flush"]).await;
    assert!(count(&figures, "stale") > 0, "{figures}");
}

#[tokio::test]
async fn a_wrong_argument_is_named() {
    for (arguments, problem) in [
        (&["--write", "3"][..], "`--write` is not known"),
        (&["--writes"], "`--writes` needs a number"),
        (
            &["--away", "x"],
            "`--away` needs a whole number that is not too large, not `x`",
        ),
        (&["--writes", "0"], "`--writes` has to be at least 1"),
    ] {
        let output = regions(arguments).await;
        let (figures, complaints) = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(figures, "");
        assert!(complaints.contains(problem), "{complaints}");
        assert!(complaints.contains("Usage:"), "{complaints}");
    }
    let (usage, _) = said(&regions(&["--help"]).await);
    assert!(usage.contains("--without-takeover"), "{usage}");
}
