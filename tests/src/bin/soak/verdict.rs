//! What was seen, held against what it may be.

use std::fmt;

use serde_json::{Value, json};

/// One thing that has to hold.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) seen: f64,
    pub(crate) at_most: f64,
}

impl Check {
    pub(crate) fn holds(&self) -> bool {
        self.seen <= self.at_most
    }
}

/// All of a run.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) calls: u64,
    pub(crate) faults: u64,
    /// What is worth knowing and has no bound.
    pub(crate) figures: Vec<(&'static str, u64)>,
    pub(crate) checks: Vec<Check>,
    /// The first wrong answer, in words.
    pub(crate) first: Option<String>,
}

impl Verdict {
    pub(crate) fn violations(&self) -> usize {
        self.checks.iter().filter(|check| !check.holds()).count()
    }

    pub(crate) fn json(&self) -> Value {
        let checks: serde_json::Map<_, _> = self
            .checks
            .iter()
            .map(|check| {
                let figures =
                    json!({ "seen": check.seen, "at_most": check.at_most, "holds": check.holds() });
                (check.what.to_owned(), figures)
            })
            .collect();
        let figures: serde_json::Map<_, _> = self
            .figures
            .iter()
            .map(|(name, number)| ((*name).to_owned(), json!(number)))
            .collect();
        json!({
            "seed": self.seed,
            "seconds": self.seconds,
            "calls": self.calls,
            "faults": self.faults,
            "violations": self.violations(),
            "figures": figures,
            "checks": checks,
            "first": self.first,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            seconds,
            calls,
            faults,
            ..
        } = self;
        writeln!(
            f,
            "seed {seed}: {calls} calls in {seconds} s, {faults} faults"
        )?;
        for (name, number) in &self.figures {
            writeln!(f, "  {name:<52} {number:>12}")?;
        }
        writeln!(f, "  {:<52} {:>12} {:>12}", "", "seen", "at most")?;
        for check in &self.checks {
            let Check {
                what,
                seen,
                at_most,
            } = check;
            let holds = if check.holds() { "" } else { "  VIOLATED" };
            writeln!(f, "  {what:<52} {seen:>12.2} {at_most:>12.2}{holds}")?;
        }
        if let Some(first) = &self.first {
            writeln!(f, "first wrong answer: {first}")?;
        }
        Ok(())
    }
}
