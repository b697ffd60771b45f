use model::{Mutant, Protocol, counterexample};
use std::time::Duration;

#[test]
fn every_mechanism_is_missed() {
    for &mutant in Mutant::ALL {
        let (configuration, promise) = mutant.caught_by();
        let without = Protocol {
            configuration,
            without: Some(mutant),
        };
        let t = std::time::Instant::now();
        let found = counterexample(&without, promise, Duration::from_secs(20));
        match found {
            Some(f) => println!(
                "ok   {:8.2} {mutant:?} {promise} steps {}",
                t.elapsed().as_secs_f64(),
                f.len()
            ),
            None => println!("NONE {:8.2} {mutant:?}", t.elapsed().as_secs_f64()),
        }
    }
}
