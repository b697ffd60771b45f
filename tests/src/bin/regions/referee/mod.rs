//! The parent of all: starts the servers and the members, does to them what happens to servers and processes, and judges.

mod acknowledged;
mod figures;
mod plan;
mod scene;

use tests::driver::Trouble;

use crate::arguments::Arguments;

pub(crate) use self::figures::Figures;
use self::figures::Found;
use self::plan::Plan;
use self::scene::Scene;

/// The share of the writes before the first fault, from which the lag without faults is.
const CALM: u64 = 5;

/// Carries out the plan of the seed, and compares.
pub(crate) fn run(arguments: &Arguments) -> Result<Figures, Trouble> {
    // One thread, which lives as long as this process: a member's end is bound to that of the thread which started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut scene = Scene::set(arguments).await?;
        let calm = arguments.writes / CALM;
        scene.written(calm).await?;
        let lag_in_calm = scene.figures().await?;
        let plan = Plan::new(arguments);
        let faults = plan.faults();
        let share = (arguments.writes - calm) / faults.len() as u64;
        let mut found = Found::default();
        for (at, fault) in (1..).zip(faults) {
            // From here: a fault may have let through more writes than its share.
            let begun = scene.acknowledged();
            scene.written(begun + share).await?;
            scene.carry_out(fault).await?;
            // At once, and after each: a later write of a row, and the flush of a later fault, would take away what shows that this one did harm.
            scene.settle().await?;
            scene.compare(&mut found).await?;
            if arguments.verbose {
                eprintln!("regions: after {fault:?}: {found:?}");
            }
            scene.begin_round(at).await?;
        }
        scene.written(arguments.writes).await?;
        scene.settle().await?;
        scene.compare(&mut found).await?;
        found.writes = scene.acknowledged();
        let lag = scene.figures().await?;
        Ok(Figures::of(arguments, faults, &found, lag_in_calm, lag))
    })
}
