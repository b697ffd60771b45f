//! Runs a body: in the cache's scope, within its time, and with its panics caught.

use std::future::{Future, poll_fn};
use std::task::Poll;

use super::Shared;
use super::group::Group;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::pattern::contexts::Contexts;
use crate::pattern::write_behind::writer::{Arguments, Running, guarded};
use crate::race;

/// Groups that have run, and what came of it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) groups: Vec<Group>,
    pub(super) result: Result<(), String>,
}

tokio::task_local! {
    static INSIDE: ();
}

/// Whether the task is inside a body that a worker runs. It must not wait for that worker.
pub(crate) fn is_inside() -> bool {
    INSIDE.try_with(|()| ()).is_ok()
}

/// Runs one group by the writer's body, several by the form that takes a batch.
pub(super) fn run(
    cache: Cache,
    shared: &Shared,
    clock: Clock,
    groups: Vec<Group>,
) -> impl Future<Output = Ended> + Send + 'static {
    let (contexts, limit) = (shared.contexts.clone(), shared.options.attempt_timeout);
    async move {
        let result = match guarded(|| begin(contexts, &groups)) {
            Err(panic) => Err(panic),
            Ok(None) => Ok(()),
            Ok(Some(running)) => {
                let mut body = Box::pin(cache.scope(INSIDE.scope((), caught(running))));
                let in_time = race::within(body.as_mut(), clock.sleep(limit)).await;
                // What it dropped in the end may panic too; what it came to stands.
                let _ = guarded(|| drop(body));
                let late = || Err(format!("took longer than its {limit:?}, and was dropped"));
                in_time.unwrap_or_else(late)
            }
        };
        Ended { groups, result }
    }
}

fn begin(contexts: Contexts, groups: &[Group]) -> Option<Running> {
    let write = |group| Group::arguments(group).map(|arguments| (arguments, group.last()));
    let writes: Vec<(&Arguments, u64)> = groups.iter().filter_map(write).collect();
    let first = groups.first()?;
    let writer = first.writer()?;
    match writes.as_slice() {
        // One that has failed is tried by itself: a batch form may have been what failed.
        [(arguments, sequence)] if first.failures > 0 || !writer.has_batch() => {
            Some(writer.run_one(contexts, arguments, *sequence))
        }
        writes => Some(writer.run_all(contexts, writes)),
    }
}

async fn caught(mut running: Running) -> Result<(), String> {
    poll_fn(|cx| match guarded(|| running.as_mut().poll(cx)) {
        Ok(polled) => polled.map(|ran| ran.map_err(|failure| failure.text)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}
