//! Which of the entries that are due are replaced now, and which wait for a place.
//!
//! Each loader has places of its own: one that hangs keeps its own entries waiting, and no other loader's. What waits is here and not in a
//! task, so that the next runtime finds it where one has ended.

use std::collections::VecDeque;

use super::plan::Watched;
use crate::key::Key;
use crate::spec::Spec;

/// So many loads of one loader run at the same time.
const AT_ONCE: usize = 16;

/// A lane for each loader that has had something to replace.
#[derive(Debug, Default)]
pub(super) struct Lanes(Vec<Lane>);

#[derive(Debug)]
struct Lane {
    spec: &'static Spec,
    running: usize,
    waiting: VecDeque<(Key, Watched)>,
}

impl Lane {
    fn is_ready(&self) -> bool {
        self.running < AT_ONCE && !self.waiting.is_empty()
    }
}

impl Lanes {
    pub(super) fn wait(&mut self, key: Key, watched: Watched) {
        let at = self.position(watched.spec).unwrap_or_else(|| {
            self.0.push(Lane {
                spec: watched.spec,
                running: 0,
                waiting: VecDeque::new(),
            });
            self.0.len() - 1
        });
        self.0[at].waiting.push_back((key, watched));
    }

    /// Whether an entry has a place.
    pub(super) fn is_ready(&self) -> bool {
        self.0.iter().any(Lane::is_ready)
    }

    /// Takes the next entry that has a place, which is its own until [`leave`](Self::leave).
    pub(super) fn enter(&mut self) -> Option<(Key, Watched)> {
        let lane = self.0.iter_mut().find(|lane| lane.is_ready())?;
        let next = lane.waiting.pop_front()?;
        lane.running += 1;
        Some(next)
    }

    /// Gives a place back; whether somebody waits for it.
    pub(super) fn leave(&mut self, spec: &'static Spec) -> bool {
        let Some(at) = self.position(spec) else {
            return false;
        };
        let lane = &mut self.0[at];
        lane.running -= 1;
        lane.is_ready()
    }

    fn position(&self, spec: &'static Spec) -> Option<usize> {
        self.0.iter().position(|lane| std::ptr::eq(lane.spec, spec))
    }
}
