//! Whether a writer's database seems to be there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::key::Key;
use crate::pattern::write_behind::options::WriteBehind;
use crate::pattern::write_behind::writer::{Writer, id_of};

/// After so many failures of a writer, of so many different keys, without a success between them it is not the writes that are bad. Then they are
/// tried one at a time, with growing pauses, and what fails does not use its attempts up: with the database away for an hour everything that
/// is pending would become dead letters.
const FAILURES: u32 = 8;
const KEYS: usize = 3;

/// What the owners of a process know of the writers.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<HashMap<usize, State>>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// The first different keys that failed.
    keys: Vec<Key>,
    running: u32,
    not_before: Option<Moment>,
}

impl State {
    fn is_in_doubt(&self) -> bool {
        self.failures >= FAILURES && self.keys.len() >= KEYS
    }

    fn is_paused(&self, now: Moment) -> bool {
        self.not_before.is_some_and(|moment| moment > now)
    }
}

impl Health {
    fn states(&self) -> MutexGuard<'_, HashMap<usize, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on<T>(&self, writer: &dyn Writer, change: impl FnOnce(&mut State) -> T) -> T {
        change(self.states().entry(id_of(writer)).or_default())
    }

    /// Whether a write of it may run now.
    pub(super) fn lets(&self, writer: &dyn Writer, now: Moment) -> bool {
        self.on(writer, |state| {
            !state.is_in_doubt() || state.running == 0 && !state.is_paused(now)
        })
    }

    /// When a writer may run that may not now.
    pub(super) fn next(&self, now: Moment) -> Option<Moment> {
        let states = self.states();
        let paused = states
            .values()
            .filter(|state| state.is_in_doubt() && state.is_paused(now));
        paused.filter_map(|state| state.not_before).min()
    }

    /// A run of it begins, and goes on until this is dropped.
    pub(super) fn began(self: &Arc<Self>, writer: &dyn Writer) -> UnderWay {
        self.on(writer, |state| state.running += 1);
        UnderWay {
            health: Arc::clone(self),
            writer: id_of(writer),
        }
    }

    /// Whether there was a doubt before.
    pub(super) fn succeeded(&self, writer: &dyn Writer) -> bool {
        self.on(writer, |state| {
            let doubted = state.is_in_doubt();
            *state = State {
                running: state.running,
                ..State::default()
            };
            doubted
        })
    }

    /// Whether the failure counts as an attempt of its write.
    pub(super) fn failed<'k>(
        &self,
        writer: &dyn Writer,
        keys: impl Iterator<Item = &'k Key>,
        now: Moment,
        options: &WriteBehind,
    ) -> bool {
        self.on(writer, |state| {
            let doubted = state.is_in_doubt();
            state.failures = state.failures.saturating_add(1);
            for key in keys {
                if state.keys.len() < KEYS && !state.keys.contains(key) {
                    state.keys.push(key.clone());
                }
            }
            let doublings = state.failures.saturating_sub(FAILURES);
            state.not_before = Some(now.after(pause(options, doublings)));
            !doubted
        })
    }
}

/// A run under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    health: Arc<Health>,
    writer: usize,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(state) = self.health.states().get_mut(&self.writer) {
            state.running = state.running.saturating_sub(1);
        }
    }
}

/// The pause after so many doublings of the first one.
pub(super) fn pause(options: &WriteBehind, doublings: u32) -> Duration {
    let pause = options.first_pause.saturating_mul(1 << doublings.min(30));
    pause.min(options.longest_pause)
}
