//! The trial of each mutant: the check that should notice it first, and then all others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::Trouble;
use crate::arguments::Arguments;
use crate::build;
use crate::checks::{Check, checks_of};
use crate::list::Mutant;
use crate::report::{self, Verdict};
use crate::run::{Ending, run};
use crate::side_by_side::side_by_side;

/// Tries the mutants, and tells of each what came of it: `false` if one was not caught, or a check does not pass without one.
pub(crate) fn hold(arguments: &Arguments) -> Result<bool, Trouble> {
    let began = Instant::now();
    let court = Court::new()?;
    court.hear_first(&arguments.mutants)?;
    let mut caught = 0;
    let tell = |verdict: Verdict| {
        caught += usize::from(verdict.caught_by.is_some());
        println!("{}", report::verdict(&verdict, arguments.json));
    };
    side_by_side(&arguments.mutants, |mutant| court.try_one(mutant), tell)?;
    let (all, took) = (arguments.mutants.len(), began.elapsed().as_secs());
    eprintln!("mutants: {caught} of {all} were caught, in {took} s");
    let unsound = court.unsound();
    for check in &unsound {
        eprintln!("mutants: {check} fails with every mechanism there, and so catches nothing");
    }
    Ok(caught == all && unsound.is_empty())
}

struct Court {
    programs: HashMap<String, PathBuf>,
    /// Whether a check passes with every mechanism there.
    sound: Mutex<BTreeMap<Check, bool>>,
}

impl Court {
    fn new() -> Result<Self, Trouble> {
        let checks = Mutant::ALL.iter().copied().flat_map(checks_of);
        Ok(Self {
            programs: build::programs(&checks.collect())?,
            sound: Mutex::default(),
        })
    }

    /// Runs the checks that the mutants are tried by first.
    fn hear_first(&self, mutants: &[Mutant]) -> Result<(), Trouble> {
        let firsts = mutants
            .iter()
            .filter_map(|mutant| checks_of(*mutant).next());
        let firsts: Vec<_> = firsts.collect::<BTreeSet<_>>().into_iter().collect();
        eprintln!(
            "mutants: {} checks with every mechanism there",
            firsts.len()
        );
        side_by_side(&firsts, |check| self.is_sound(check), drop)
    }

    fn sound(&self) -> MutexGuard<'_, BTreeMap<Check, bool>> {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_sound(&self, check: Check) -> Result<bool, Trouble> {
        let known = self.sound().get(&check).copied();
        if let Some(sound) = known {
            return Ok(sound);
        }
        let sound = self.run(check, None)? == Ending::Passed;
        self.sound().insert(check, sound);
        Ok(sound)
    }

    fn unsound(&self) -> Vec<Check> {
        let sound = self.sound();
        let unsound = sound.iter().filter(|(_, sound)| !**sound);
        unsound.map(|(check, _)| *check).collect()
    }

    fn run(&self, check: Check, mutant: Option<Mutant>) -> Result<Ending, Trouble> {
        let program = self.programs.get(check.target());
        let program = program.ok_or_else(|| format!("there is no program of {check}"))?;
        run(program, check, mutant)
    }

    fn try_one(&self, mutant: Mutant) -> Result<Verdict, Trouble> {
        let began = Instant::now();
        let mut caught_by = None;
        for check in most_likely_first(mutant) {
            if !self.is_sound(check)? {
                continue;
            }
            let ending = self.run(check, Some(mutant))?;
            if matches!(ending, Ending::Failed | Ending::Hung) {
                caught_by = Some((check, ending));
                break;
            }
            eprintln!("mutants: {check} does not notice {}", mutant.name());
        }
        Ok(Verdict {
            mutant,
            caught_by,
            took: began.elapsed(),
        })
    }
}

/// The mutant's own checks, then those of others, of the same targets first.
fn most_likely_first(mutant: Mutant) -> Vec<Check> {
    let mut checks: Vec<Check> = checks_of(mutant).collect();
    let others: BTreeSet<_> = Mutant::ALL.iter().copied().flat_map(checks_of).collect();
    let targets: Vec<_> = checks.iter().map(|check| check.target()).collect();
    let (near, far): (Vec<_>, Vec<_>) = others
        .into_iter()
        .filter(|check| !checks.contains(check))
        .partition(|check| targets.contains(&check.target()));
    checks.extend(near);
    checks.extend(far);
    checks
}
