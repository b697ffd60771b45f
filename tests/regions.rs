//! Two regions through kills and absences of everything between them: the regions test, for a short while. `cargo run --release -p tests --bin regions -- --help` tells how to run
//! it for longer.

use std::time::Duration;

use serde_json::Value;
use tests::driver::{Head, count};

/// Each sort of fault comes once.
const WRITES: &str = "1600";
/// Enough for some of them.
const FEW: &str = "600";

static REGIONS: Head = Head::new(env!("CARGO_BIN_EXE_regions"), Duration::from_secs(400));

/// The figures of a run that ended well.
async fn figures(writes: &str, seed: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["--writes", writes, "--away", "1", "--seed", seed, "--json"];
    arguments.extend(more);
    let figures = REGIONS.figures(&arguments).await;
    assert!(
        count(&figures, "writes") >= writes.parse().unwrap(),
        "{figures}"
    );
    assert!(count(&figures, "checked") > 100, "{figures}");
    figures
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
    let wrong = [
        (&["--write", "3"][..], "`--write` is not known"),
        (&["--writes"], "`--writes` needs a number"),
        (
            &["--away", "x"],
            "`--away` needs a whole number that is not too large, not `x`",
        ),
        (&["--writes", "0"], "`--writes` has to be at least 1"),
    ];
    REGIONS
        .names_wrong_arguments(&wrong, "--without-takeover")
        .await;
}
