//! Where the bodies of readers and writers run: what a task is known by, and the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::watch;

use super::database::Database;
use super::functions::{Failure, Value};
use super::log::Log;
use super::random::Random;
use crate::arguments::Broken;
use crate::clock::Moment;
use crate::keys::{Level, RowId};
use crate::words::{Commit, How, Word};

/// The state of the one write that may be halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Halt {
    Off,
    Armed,
    Halting,
}

/// Where the referee wants to know a write: between its commit and its invalidation.
#[derive(Debug)]
pub(super) struct Halting(watch::Sender<Halt>);

impl Default for Halting {
    fn default() -> Self {
        Self(watch::Sender::new(Halt::Off))
    }
}

impl Halting {
    pub(super) fn arm(&self) {
        self.0.send_replace(Halt::Armed);
    }

    pub(super) fn release(&self) {
        self.0.send_replace(Halt::Off);
    }

    async fn after_commit(&self, log: &Log, row: RowId, version: u64) {
        if row.mode().is_in_memory() || row.mode().level() == Level::Eventual {
            return;
        }
        let is_mine = self.0.send_if_modified(|halt| {
            let is_armed = *halt == Halt::Armed;
            if is_armed {
                *halt = Halt::Halting;
            }
            is_armed
        });
        if is_mine {
            log.note(|_| Word::Halted { row, version });
            // Errs when the sender is gone, and `self` is it.
            let _ = self.0.subscribe().wait_for(|halt| *halt == Halt::Off).await;
        }
    }
}

/// What all stations of a process have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) birth: u64,
    pub(super) database: Database,
    pub(super) log: Arc<Log>,
    pub(super) halting: Halting,
    pub(super) broken: Option<Broken>,
}

/// A task's own.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) common: Arc<Common>,
    /// No other task of the run has it.
    pub(super) session: u64,
    pub(super) random: Random,
    /// When the write that is under way began, and when its body was over.
    pub(super) began: AtomicU64,
    pub(super) since: AtomicU64,
}

impl Station {
    pub(super) fn new(common: &Arc<Common>, session: u64, seed: u64) -> Self {
        Self {
            common: Arc::clone(common),
            session,
            random: Random::new(seed, session),
            began: AtomicU64::new(0),
            since: AtomicU64::new(0),
        }
    }

    pub(super) fn never_expires(&self) -> bool {
        self.common.broken == Some(Broken::Expiry)
    }

    /// The body of every reader.
    pub(super) async fn load(&self, row: RowId) -> Result<Value, Failure> {
        self.random.pause().await;
        let asked = Moment::now();
        let mut version = self.common.database.version(row, self.session).await?;
        if self.common.broken == Some(Broken::Commit) && self.random.one_in(16) {
            version += 1;
        }
        self.random.pause().await;
        Ok(Value {
            version,
            asked: asked.0,
            loaded: Moment::now().0,
            loader: self.common.birth,
            written: false,
        })
    }

    /// The body of every writer.
    pub(super) async fn write(&self, row: RowId, how: How) -> Result<Value, Failure> {
        self.random.pause().await;
        let asked = Moment::now();
        let version = self.common.database.write(row, self.session).await?;
        self.common.log.note(|at| {
            Word::Commit(Commit {
                row,
                session: self.session,
                began: Moment(self.began.load(Relaxed)),
                at,
                version,
                how,
            })
        });
        self.common
            .halting
            .after_commit(&self.common.log, row, version)
            .await;
        self.random.pause().await;
        let now = Moment::now().0;
        self.since.store(now, Relaxed);
        Ok(Value {
            version,
            asked: asked.0,
            loaded: now,
            loader: self.common.birth,
            written: true,
        })
    }
}
