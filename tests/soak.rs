//! Load for a minute, with faults, and for less with something that leaks. `cargo run --release -p tests --bin soak -- --help` tells how to run it for longer.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::RwLock;

/// Only a run that hangs takes so long: it gives up by itself before.
const LONGEST_RUN: Duration = Duration::from_secs(400);

/// A run that is to hold has the machine for itself; those that leak may share it.
static MACHINE: RwLock<()> = RwLock::const_new(());

async fn soak(arguments: &[&str]) -> (Output, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soak"));
    command.args(["--seed", "1", "--json"]).args(arguments);
    let output = tokio::time::timeout(LONGEST_RUN, command.kill_on_drop(true).output()).await;
    let output = output.expect("the run ends").expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    let figures = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}\n{complaints}"));
    (output, figures)
}

#[tokio::test]
async fn under_load_and_faults_memory_tasks_and_connections_stay_and_every_call_is_answered_in_time()
 {
    let _alone = MACHINE.write().await;
    let (output, figures) = soak(&["--minutes", "1"]).await;
    assert!(output.status.success(), "{figures:#}");
    assert_eq!(figures["violations"], 0, "{figures:#}");
    assert!(figures["calls"].as_u64() > Some(1000), "{figures:#}");
    assert!(figures["faults"].as_u64() >= Some(6), "{figures:#}");
    for check in figures["checks"].as_object().expect("checks").values() {
        assert_eq!(check["holds"], true, "{figures:#}");
    }
}

/// Runs with a leak: it has to be found by this check.
async fn is_found(leak: &str, check: &str) {
    let _shared = MACHINE.read().await;
    let (output, figures) = soak(&["--minutes", "0.25", "--leak", leak]).await;
    assert_eq!(output.status.code(), Some(1), "{figures:#}");
    assert_eq!(figures["checks"][check]["holds"], false, "{figures:#}");
}

#[tokio::test]
async fn tasks_that_leak_are_found() {
    is_found("tasks", "tasks at the end").await;
}

#[tokio::test]
async fn memory_that_leaks_is_found() {
    is_found("memory", "growth of memory after the warm-up, MiB").await;
}

#[tokio::test]
async fn connections_that_leak_are_found() {
    is_found("connections", "connections at the end").await;
}

#[tokio::test]
async fn calls_that_take_too_long_are_found() {
    is_found("time", "calls beyond their budget, %").await;
}
