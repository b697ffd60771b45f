//! Tasks that write one number after the other, and tell the referee of each that was acknowledged before they write the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_runtime::Cache;
use fastrand::Rng;
use tests::driver::say;
use tokio::task::JoinSet;

use super::Settings;
use super::functions::{Failure, note, note_in_batches};
use crate::words::Word;

const TASKS: u64 = 4;

/// So few that a page nearly always has writes that wait, and enough that every partition has some.
const PAGES: u64 = 48;

/// The numbers of a task go from here to there: so many it never writes.
const OF_A_TASK: u64 = 1 << 32;

/// Between two writes of a task, at most: the machine is to be left some time for the others.
const LONGEST_THOUGHT: u64 = 8;

/// Which task wrote the number: no other task of the run is the same.
pub(crate) fn task_of(number: u64) -> u64 {
    number / OF_A_TASK
}

/// The tasks of this process.
pub(super) struct Writing {
    tasks: std::sync::Mutex<JoinSet<()>>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    stops: AtomicBool,
    tells: AtomicBool,
}

pub(super) fn begin(cache: &Cache, settings: &Settings) -> Writing {
    let state = Arc::<State>::default();
    let mut tasks = JoinSet::new();
    let count = if settings.writes { TASKS } else { 0 };
    for task in 0..count {
        let task = u64::from(settings.birth) * TASKS + task;
        let random = Rng::with_seed(settings.seed ^ task.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        tasks.spawn(cache.scope(write(task * OF_A_TASK, random, Arc::clone(&state))));
    }
    Writing {
        tasks: tasks.into(),
        state,
    }
}

impl Writing {
    /// Says [`Word::Wrote`] after the next write that begins now or later and is acknowledged.
    pub(super) fn tell_of_next(&self) {
        self.state.tells.store(true, Ordering::SeqCst);
    }

    /// Returns when every write has ended.
    pub(super) async fn stop(&self) {
        self.state.stops.store(true, Ordering::SeqCst);
        let tasks = std::mem::take(&mut *self.tasks.lock().expect("nothing panics under it"));
        tasks.join_all().await;
    }
}

async fn write(first: u64, mut random: Rng, state: Arc<State>) {
    for number in first.. {
        if state.stops.load(Ordering::SeqCst) {
            return;
        }
        let page = random.u64(..PAGES);
        let is_to_tell = state.tells.load(Ordering::SeqCst);
        // Whatever the error says, the write may be in the log: its number is not used again.
        if note_by_one(page, number, &mut random).await.is_ok() {
            say(&Word::Acknowledged { page, number });
            if is_to_tell && state.tells.swap(false, Ordering::SeqCst) {
                say(&Word::Wrote);
            }
        }
        tokio::time::sleep(Duration::from_millis(random.u64(..LONGEST_THOUGHT))).await;
    }
}

/// A third of the pages knows one of the functions, a third the other, and a third both.
async fn note_by_one(page: u64, number: u64, random: &mut Rng) -> Result<(), Failure> {
    let in_batches = match page % 3 {
        0 => false,
        1 => true,
        _ => random.bool(),
    };
    if in_batches {
        note_in_batches(page, vec![number]).await
    } else {
        note(page, vec![number]).await
    }
}
