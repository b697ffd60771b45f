//! Tasks that change rows, tasks that read them, and one that acknowledges changes.

use std::time::Duration;

use cache_runtime::{Cache, cached};
use fastrand::Rng;
use tests::driver::say;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Settings;
use crate::database::{Database, ROWS, Row};
use crate::words::Word;

const WRITERS: u64 = 4;
const READERS: u64 = 4;

/// Between two steps of a task, in milliseconds: the machine is to be left some time for the others.
const WRITERS_PAUSE: u64 = 8;
const READERS_PAUSE: u64 = 2;

/// How long a load takes after its query, at most, in microseconds: time for a change to come in between.
const LONGEST_LOAD: u64 = 2000;

/// So many changes may wait for the bus: then no more are made until it is back.
const MOST_WAITING: usize = 20_000;

/// How long an attempt to acknowledge waits for the bus.
const PATIENCE: Duration = Duration::from_secs(1);

/// The version of a row, as it is cached.
#[cached(key = "row:<id>", ttl = "1h")]
pub(crate) async fn row(database: &Database, id: u64) -> u64 {
    let version = database.version(Row(id)).await;
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..LONGEST_LOAD))).await;
    version
}

/// A change that has been made and invalidated.
struct Change {
    row: Row,
    version: u64,
}

/// What the tasks are to do.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Plan {
    round: u64,
    writes: bool,
}

/// The tasks of this process.
pub(super) struct Work {
    plan: watch::Sender<Plan>,
    /// Changes that have begun, and are not acknowledged.
    open: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

pub(super) fn begin(cache: &Cache, database: &Database, settings: &Settings) -> Work {
    let (plan, _) = watch::channel(Plan {
        round: settings.round,
        writes: settings.writes,
    });
    let (open, _) = watch::channel(0);
    let (changes, made) = mpsc::channel(MOST_WAITING);
    let mut tasks = JoinSet::new();
    let task = |number: u64| Task {
        cache: cache.clone(),
        database: database.clone(),
        plan: plan.subscribe(),
        open: open.clone(),
        random: Rng::with_seed(settings.seed.wrapping_add(number)),
    };
    for number in 0..WRITERS {
        tasks.spawn(task(number).write(changes.clone()));
    }
    tasks.spawn(acknowledge(cache.clone(), made, open.clone()));
    for number in 0..READERS {
        tasks.spawn(task(WRITERS + number).read());
    }
    Work {
        plan,
        open,
        _tasks: tasks,
    }
}

impl Work {
    pub(super) fn turn_to(&self, round: u64) {
        let writes = true;
        self.plan.send_replace(Plan { round, writes });
    }

    /// Returns when every change has been acknowledged.
    pub(super) async fn hold(&self) {
        self.plan.send_modify(|plan| plan.writes = false);
        let mut open = self.open.subscribe();
        // Errs when the sender is gone, and `self` holds it.
        let _ = open.wait_for(|open| *open == 0).await;
    }
}

struct Task {
    cache: Cache,
    database: Database,
    plan: watch::Receiver<Plan>,
    open: watch::Sender<u64>,
    random: Rng,
}

impl Task {
    fn plan(&self) -> Plan {
        *self.plan.borrow()
    }

    async fn pause(&mut self, longest: u64) {
        let pause = Duration::from_micros(self.random.u64(..longest * 1000));
        tokio::time::sleep(pause).await;
    }

    async fn write(mut self, changes: mpsc::Sender<Change>) {
        loop {
            // First: whoever holds the writers waits for those that have got this far.
            self.open.send_modify(|open| *open += 1);
            if self.plan().writes {
                self.change(&changes).await;
                self.pause(WRITERS_PAUSE).await;
            } else {
                self.open.send_modify(|open| *open -= 1);
                let _ = self.plan.wait_for(|plan| plan.writes).await;
            }
        }
    }

    async fn change(&mut self, changes: &mpsc::Sender<Change>) {
        let row = Row::of_round(self.plan().round, self.random.u64(..ROWS));
        let version = self.database.change(row).await;
        // If the store of this region is away, the event comes back to it: it is for the origin too.
        let _ = self.cache.invalidate(self::row::key(row.0)).await;
        // Errs when the process ends.
        let _ = changes.send(Change { row, version }).await;
    }

    /// Mostly rows that are being written, and sometimes those of earlier rounds.
    async fn read(mut self) {
        loop {
            let now = self.plan().round;
            let round = match self.random.u8(..4) {
                0 => self.random.u64(..=now),
                _ => now,
            };
            let row = Row::of_round(round, self.random.u64(..ROWS));
            let read = self::row(&self.database, row.0);
            self.cache.scope(read).await;
            self.pause(READERS_PAUSE).await;
        }
    }
}

/// Tells the referee of changes whose events are on the bus.
async fn acknowledge(cache: Cache, mut made: mpsc::Receiver<Change>, open: watch::Sender<u64>) {
    let mut some = Vec::new();
    while made.recv_many(&mut some, MOST_WAITING).await > 0 {
        while cache.flush_events(PATIENCE).await.is_err() {}
        for Change { row, version } in some.drain(..) {
            let row = row.0;
            say(&Word::Acknowledged { row, version });
            open.send_modify(|open| *open -= 1);
        }
    }
}
