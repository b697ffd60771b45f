//! The parent of all: starts the servers and the members, does to them what happens to servers and processes, and has the checker judge.

mod faults;
mod figures;
mod plan;
mod scene;

use std::time::Instant;

use tests::driver::Trouble;

use crate::arguments::Arguments;

use self::figures::Figures;
use self::plan::Plan;
pub(crate) use self::plan::Sort;
use self::scene::Scene;

/// Carries out the plan of the seed.
pub(crate) fn run(arguments: &Arguments) -> Result<Figures, Trouble> {
    // The members are started by this thread, which lives as long as the process: their end is bound to it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let began = Instant::now();
        let mut scene = Scene::set(arguments).await?;
        scene.begin().await?;
        let plan = Plan::new(arguments);
        let share = arguments.reads / (plan.faults().len() as u64 + 1);
        for fault in plan.faults() {
            scene.read(share).await?;
            scene.carry_out(fault).await?;
            scene.check_all(fault.sort().leaves_stale()).await?;
            scene.go_on().await?;
        }
        scene.read_in_all(arguments.reads).await?;
        if !scene.has_shown_what_is_broken() {
            scene.check_all(true).await?;
        }
        let slowest = scene.slowest_recovery();
        let tally = scene.end().await?;
        if arguments.verbose {
            for (excuse, text) in &tally.told_of_excused {
                eprintln!("histories: excused as {excuse}: {text}");
            }
        }
        Ok(Figures::of(
            arguments,
            &plan,
            tally,
            began.elapsed(),
            slowest,
        ))
    })
}
