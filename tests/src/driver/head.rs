//! A driver as its test sees it: a program that is run for a short while.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Mutex;

/// A driver that was built.
#[derive(Debug)]
pub struct Head {
    file: &'static str,
    longest: Duration,
    /// Each run is a dozen processes: one run at a time.
    turn: Mutex<()>,
}

impl Head {
    /// `file` is `env!("CARGO_BIN_EXE_…")`. Only a run that hangs takes as long as `longest`: it gives up by itself before.
    pub const fn new(file: &'static str, longest: Duration) -> Self {
        Self {
            file,
            longest,
            turn: Mutex::const_new(()),
        }
    }

    /// Runs it to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let _turn = self.turn.lock().await;
        let mut command = Command::new(self.file);
        let output = command.args(arguments).kill_on_drop(true).output();
        let output = tokio::time::timeout(self.longest, output).await;
        output.expect("the run ends").expect("the program starts")
    }

    /// The figures of a run that ended well.
    pub async fn figures(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments).await;
        let (figures, complaints) = said(&output);
        assert!(output.status.success(), "{figures}\n{complaints}");
        serde_json::from_str(&figures).expect("one object")
    }

    /// Checks that wrong arguments, each with its problem, are named beside the help, which has this in it.
    pub async fn names_wrong_arguments(&self, wrong: &[(&[&str], &str)], help: &str) {
        for (arguments, problem) in wrong {
            let output = self.run(arguments).await;
            let (figures, complaints) = said(&output);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert_eq!(figures, "");
            assert!(complaints.contains(problem), "{complaints}");
            assert!(complaints.contains("Usage:"), "{complaints}");
        }
        let (usage, _) = said(&self.run(&["--help"]).await);
        assert!(usage.contains(help), "{usage}");
    }
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// One of the figures.
pub fn count(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().expect("a number")
}
