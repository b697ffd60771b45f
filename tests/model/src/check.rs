//! Runs the checker.

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use crate::protocol::{Action, Protocol};
use crate::state::State;
use crate::symmetry::representative;

/// More than one, as the checker looks at its time limit only where threads share work.
const THREADS: usize = 2;

/// What a check came to.
#[derive(Debug)]
pub struct Report {
    /// Different states, those that differ only in who is who counted once.
    pub states: usize,
    /// The longest path.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// What was found.
    pub outcome: Outcome,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every promise holds in every state.
    Holds,
    /// Every promise holds in the states that there was time for.
    HoldsSoFar,
    /// A promise is broken.
    Broken(Counterexample),
    /// Every promise holds, but this was never seen: the configuration shows less than it is for.
    Unseen(Vec<&'static str>),
}

/// How a promise is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterexample {
    /// Which.
    pub promise: &'static str,
    /// By which steps.
    pub steps: Vec<String>,
}

/// Goes through all states, or as many as there is time for.
pub fn check(protocol: &Protocol, limit: Duration) -> Report {
    let began = Instant::now();
    let checker = protocol
        .clone()
        .checker()
        .threads(THREADS)
        .symmetry_fn(representative)
        .finish_when(HasDiscoveries::AnyFailures)
        .timeout(limit)
        .spawn_dfs()
        .join();
    let time = began.elapsed();
    let outcome = match broken(protocol, &checker) {
        Some(counterexample) => Outcome::Broken(counterexample),
        None if time >= limit => Outcome::HoldsSoFar,
        None => match unseen(protocol, &checker) {
            unseen if unseen.is_empty() => Outcome::Holds,
            unseen => Outcome::Unseen(unseen),
        },
    };
    Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        time,
        outcome,
    }
}

/// Looks for a short way to break this promise.
pub fn counterexample(
    protocol: &Protocol,
    promise: &'static str,
    limit: Duration,
) -> Option<Vec<String>> {
    let checker = protocol
        .clone()
        .checker()
        .threads(THREADS)
        .finish_when(HasDiscoveries::AllOf([promise].into()))
        .timeout(limit)
        .spawn_bfs()
        .join();
    let path = checker.discoveries().remove(promise)?;
    Some(steps(path))
}

fn steps(path: Path<State, Action>) -> Vec<String> {
    let actions = path.into_actions();
    actions.iter().map(|action| format!("{action:?}")).collect()
}

fn broken(protocol: &Protocol, checker: &impl Checker<Protocol>) -> Option<Counterexample> {
    let mut found = checker.discoveries();
    let mut promises = protocol.properties().into_iter();
    let promise = promises.find(|property| {
        property.expectation == Expectation::Always && found.contains_key(property.name)
    })?;
    Some(Counterexample {
        promise: promise.name,
        steps: steps(found.remove(promise.name)?),
    })
}

fn unseen(protocol: &Protocol, checker: &impl Checker<Protocol>) -> Vec<&'static str> {
    let found = checker.discoveries();
    let sights = protocol.properties().into_iter();
    sights
        .filter(|property| property.expectation == Expectation::Sometimes)
        .map(|property| property.name)
        .filter(|name| !found.contains_key(name))
        .collect()
}
