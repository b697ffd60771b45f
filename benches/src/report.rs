//! Figures of a suite: gathered over rounds, printed as a table or as lines of JSON.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

/// The name of our own subject.
pub(crate) const OURS: &str = "cache-runtime";

/// How the figures of several rounds become one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Over {
    /// For times and rates: what half of the rounds reach.
    Median,
    /// For counts that must hold in every round: the worst.
    Worst,
}

#[derive(Debug)]
struct Figure {
    case: String,
    subject: &'static str,
    unit: &'static str,
    over: Over,
    rounds: Vec<f64>,
}

impl Figure {
    fn value(&self) -> f64 {
        let mut rounds = self.rounds.clone();
        rounds.sort_by(f64::total_cmp);
        match self.over {
            Over::Median => rounds[rounds.len() / 2],
            Over::Worst => rounds[rounds.len() - 1],
        }
    }
}

/// All figures of one suite.
#[derive(Debug)]
pub(crate) struct Report {
    suite: &'static str,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(suite: &'static str) -> Self {
        Self {
            suite,
            figures: Vec::new(),
        }
    }

    /// Adds one round's figure.
    pub(crate) fn add(
        &mut self,
        case: &str,
        subject: &'static str,
        unit: &'static str,
        over: Over,
        value: f64,
    ) {
        match self
            .figures
            .iter_mut()
            .find(|figure| figure.case == case && figure.subject == subject)
        {
            Some(figure) => figure.rounds.push(value),
            None => {
                self.figures.push(Figure {
                    case: case.to_owned(),
                    subject,
                    unit,
                    over,
                    rounds: vec![value],
                });
            }
        }
    }

    pub(crate) fn print_json(&self) {
        for figure in &self.figures {
            let line = serde_json::json!({
                "suite": self.suite,
                "case": figure.case,
                "subject": figure.subject,
                "value": figure.value(),
                "unit": figure.unit,
            });
            println!("{line}");
        }
    }

    /// Cases down, subjects across, ours first.
    pub(crate) fn print_table(&self) {
        let mut subjects = vec![OURS];
        let mut cases: Vec<&str> = Vec::new();
        let mut cells = BTreeMap::new();
        for figure in &self.figures {
            if !subjects.contains(&figure.subject) {
                subjects.push(figure.subject);
            }
            if !cases.contains(&figure.case.as_str()) {
                cases.push(&figure.case);
            }
            cells.insert((figure.case.as_str(), figure.subject), figure);
        }
        let first = cases
            .iter()
            .map(|case| case.len())
            .max()
            .unwrap_or(0)
            .max(self.suite.len());
        print!("{:first$}  {:>14}", self.suite, "unit");
        for subject in &subjects {
            print!("  {subject:>17}");
        }
        println!();
        for case in cases {
            let unit = self
                .figures
                .iter()
                .find(|figure| figure.case == case)
                .map_or("", |figure| figure.unit);
            print!("{case:first$}  {unit:>14}");
            for subject in &subjects {
                let cell = cells
                    .get(&(case, *subject))
                    .map_or_else(|| "-".to_owned(), |figure| short(figure.value()));
                print!("  {cell:>17}");
            }
            println!();
        }
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.4}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Says on a terminal's standard error what is being measured; silent elsewhere.
pub(crate) fn progress(text: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // Back to the line's start and clear it. A terminal that went away is not worth a failure.
        let _ = write!(stderr, "\r\x1b[2K{text}");
        let _ = stderr.flush();
    }
}
