//! Every mechanism of the protocol is needed: without it the checker finds a promise that breaks.

use std::time::Duration;

use model::{Mutant, Outcome, Protocol, check, counterexample};

const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn without_any_one_mechanism_a_promise_breaks() {
    let missed: Vec<_> = Mutant::ALL
        .iter()
        .filter(|&&mutant| {
            let (configuration, promise) = mutant.caught_by();
            let without = Protocol {
                configuration,
                without: Some(mutant),
            };
            counterexample(&without, promise, LIMIT).is_none()
        })
        .collect();
    assert!(
        missed.is_empty(),
        "nothing finds that these are gone: {missed:?}"
    );
}

#[test]
fn with_all_of_them_the_same_configurations_keep_every_promise() {
    let mut checked = Vec::new();
    for &mutant in Mutant::ALL {
        let configuration = mutant.caught_by().0;
        if checked.contains(&configuration) {
            continue;
        }
        checked.push(configuration);
        let whole = Protocol::of(configuration);
        let outcome = check(&whole, LIMIT).outcome;
        // Some are too small to show all that the bigger ones do.
        let holds = matches!(outcome, Outcome::Holds | Outcome::Unseen(_));
        assert!(holds, "{mutant:?}: {outcome:#?}");
    }
}
