//! The parent of all: starts the servers and the members, kills them, and judges.

mod acknowledged;
mod figures;
mod plan;
mod scene;

use tests::driver::Trouble;

use crate::arguments::Arguments;

use self::figures::Figures;
use self::plan::Plan;
use self::scene::Scene;

/// Carries out the plan of the seed, and compares.
pub(crate) fn run(arguments: &Arguments) -> Result<Figures, Trouble> {
    // One thread, which lives as long as this process: a member's end is bound to that of the thread which started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut scene = Scene::set(arguments).await?;
        for kill in Plan::new(arguments.seed).take(arguments.kills as usize) {
            scene.carry_out(kill).await?;
        }
        scene.settle().await?;
        let applied = scene.applied().await?;
        let acknowledged = scene.acknowledged();
        Ok(Figures::of(
            arguments.kills,
            arguments.seed,
            &acknowledged.pages(),
            &applied,
        ))
    })
}
