//! What is told of a mutant.

use std::time::Duration;

use serde_json::json;

use crate::checks::{Check, checks_of};
use crate::list::Mutant;
use crate::run::Ending;

/// What came of the trial of a mutant.
pub(crate) struct Verdict {
    pub(crate) mutant: Mutant,
    pub(crate) caught_by: Option<(Check, Ending)>,
    pub(crate) took: Duration,
}

/// One line, of a table or an object.
pub(crate) fn verdict(verdict: &Verdict, as_json: bool) -> String {
    let (name, seconds) = (verdict.mutant.name(), verdict.took.as_secs_f64());
    let caught_by = verdict.caught_by.map(|(check, _)| check.to_string());
    let how = match verdict.caught_by {
        Some((_, Ending::Hung)) => "hung",
        Some(_) => "failed",
        None => "not caught",
    };
    if as_json {
        return json!({
            "mutant": name,
            "caught_by": caught_by,
            "how": how,
            "seconds": (seconds * 10.0).round() / 10.0,
            "description": verdict.mutant.description(),
        })
        .to_string();
    }
    let caught_by = caught_by.unwrap_or_default();
    format!("{name:<32} {seconds:6.1} s  {how:<10}  {caught_by}")
}

/// A mutant that was not tried.
pub(crate) fn known(mutant: Mutant, as_json: bool) -> String {
    let (name, description) = (mutant.name(), mutant.description());
    if as_json {
        let checks: Vec<_> = checks_of(mutant).map(|check| check.to_string()).collect();
        return json!({ "mutant": name, "description": description, "checks": checks }).to_string();
    }
    format!("{name:<32} {description}")
}
