//! What happened to servers and processes, as far as it excuses a read.

use std::collections::VecDeque;
use std::time::Duration;

use super::KEPT;
use super::excuse::Excuse;
use super::tally::{Failover, Tally};
use crate::clock::Moment;
use crate::words::{Read, Return};

/// What a fault does to what the cache has been told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Effect {
    /// Nothing is lost.
    Nothing,
    /// Leases, intents and fences are lost with all values.
    Lost,
    /// Nobody can renew an intent for so long that it expires.
    Silent,
    /// One process does nothing for so long.
    Stopped(u64),
    /// A copy takes over that was behind since the beginning; the server that it copied was killed at this time.
    Failover { killed: Moment },
}

/// A fault, with the time that it took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) effect: Effect,
    pub(crate) from: Moment,
    /// [`Moment::NEVER`] for one that goes on.
    pub(crate) to: Moment,
}

impl Window {
    pub(super) fn overlaps(&self, from: Moment, to: Moment) -> bool {
        self.from <= to && from <= self.to
    }
}

#[derive(Debug, Default)]
pub(super) struct Windows {
    all: Vec<Window>,
    failovers: Vec<(Window, Failover)>,
    /// When writers of rows on Redis have returned, of late.
    returns: VecDeque<Moment>,
}

impl Windows {
    pub(super) fn begin(&mut self, window: Window) {
        self.all.push(window);
    }

    /// The last one is over.
    pub(super) fn end(&mut self, effect: Effect, at: Moment) {
        let Some(window) = self.all.last_mut() else {
            return;
        };
        (window.effect, window.to) = (effect, at);
        if let Effect::Failover { killed } = effect {
            let failover = Failover {
                behind_ms: millis(killed.since(window.from)),
                ..Failover::default()
            };
            self.failovers.push((*window, failover));
        }
    }

    /// Whether one goes on.
    pub(super) fn open(&self) -> Option<Window> {
        let last = self.all.last()?;
        (last.to == Moment::NEVER).then_some(*last)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Window> {
        self.all.iter()
    }

    pub(super) fn note_return(&mut self, write: &Return) {
        if !write.row.mode().is_in_memory() && !write.kept {
            self.returns.push_back(write.ended);
        }
    }

    /// Counts what failovers have lost, while that is known; `horizon` is until when all returns are.
    pub(super) fn count_lost(&mut self, horizon: Moment) {
        for (window, failover) in &mut self.failovers {
            let Effect::Failover { killed } = window.effect else {
                continue;
            };
            if failover.writes_lost.is_none() && horizon > window.to {
                let lost = |at: &&Moment| (window.from..=killed).contains(*at);
                failover.writes_lost = Some(self.returns.iter().filter(lost).count() as u64);
            }
        }
        let oldest = horizon.before(KEPT);
        while self.returns.front().is_some_and(|&at| at < oldest) {
            self.returns.pop_front();
        }
    }

    pub(super) fn failovers(&self) -> Vec<Failover> {
        self.failovers
            .iter()
            .map(|&(_, failover)| failover)
            .collect()
    }

    pub(super) fn note_excused(&mut self, read: &Read, excuse: Excuse, tally: &mut Tally) {
        *tally.excused.entry(excuse.name()).or_default() += 1;
        if excuse != Excuse::Failover {
            return;
        }
        let before = |(window, _): &&mut (Window, Failover)| window.from <= read.ended;
        if let Some((window, failover)) = self.failovers.iter_mut().rev().find(before) {
            failover.stale_reads += 1;
            let since = millis(read.began.since(window.to));
            failover.stale_for_ms = failover.stale_for_ms.max(since);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
