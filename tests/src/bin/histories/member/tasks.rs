//! The tasks of a process. Each is a session: it begins an operation when the one before it has ended.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;

use super::choices::{Choice, Choices};
use super::functions;
use super::station::{Common, Halting, Station};
use super::{Place, Settings};
use crate::clock::Moment;
use crate::keys::{Mode, RowId};
use crate::words::{Read, Return, Word};

/// The tasks on the memory of the process. They never wait for a server: each of their operations is followed by a pause.
const IN_MEMORY: u64 = 2;

/// After a failure, so that a server that is away is not asked all the time.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The sessions of a process are numbered from its birth times this.
const SESSIONS: u64 = 1 << 16;

/// The tasks, and what they are to do.
pub(super) struct Tasks {
    common: Arc<Common>,
    on_redis: Place,
    in_memory: Place,
    birth: u64,
    seed: u64,
    tasks: u64,
    thought: u64,
    sessions: u64,
    /// Whether writes may begin, and how many are under way.
    writes: watch::Sender<bool>,
    open: watch::Sender<u64>,
}

impl Tasks {
    pub(super) fn new(
        settings: &Settings,
        common: &Arc<Common>,
        on_redis: Place,
        in_memory: Place,
    ) -> Self {
        Self {
            common: Arc::clone(common),
            on_redis,
            in_memory,
            birth: settings.birth,
            seed: settings.seed,
            tasks: settings.tasks,
            thought: settings.thought,
            sessions: settings.birth * SESSIONS,
            writes: watch::Sender::new(true),
            open: watch::Sender::new(0),
        }
    }

    pub(super) fn halting(&self) -> &Halting {
        &self.common.halting
    }

    /// A task that is yet to be run.
    fn task(&mut self, place: &Place) -> Task {
        self.sessions += 1;
        Task {
            place: place.clone(),
            station: Station::new(&self.common, self.sessions, self.seed),
            choices: Choices::new(self.seed, self.sessions),
            writes: self.writes.subscribe(),
            open: self.open.clone(),
        }
    }

    fn rows(&self, modes: &[Mode]) -> Vec<RowId> {
        let rows = modes.iter().map(|&mode| RowId::all_of(mode, self.birth));
        rows.flatten().collect()
    }

    pub(super) fn begin(&mut self) {
        let (on_redis, in_memory) = (self.on_redis.clone(), self.in_memory.clone());
        for _ in 0..self.tasks {
            let rows = self.rows(&Mode::ON_REDIS);
            let task = self.task(&on_redis).work(rows, self.thought);
            tokio::spawn(on_redis.cache.scope(task));
        }
        for _ in 0..IN_MEMORY {
            let rows = self.rows(&Mode::IN_MEMORY);
            let task = self.task(&in_memory).work(rows, self.thought.max(2000));
            tokio::spawn(in_memory.cache.scope(task));
        }
        tokio::spawn(tell_of_deliveries(Arc::clone(&self.common), on_redis));
    }

    /// Returns when no write is under way.
    pub(super) async fn hold(&self) {
        self.writes.send_replace(false);
        let mut open = self.open.subscribe();
        // Errs when the sender is gone, and `self` holds it.
        let _ = open.wait_for(|open| *open == 0).await;
        self.common.log.note(|_| Word::Held);
    }

    pub(super) fn write(&self) {
        self.writes.send_replace(true);
    }

    pub(super) fn tell_of_health(&self) {
        let (common, place) = (Arc::clone(&self.common), self.on_redis.clone());
        tokio::spawn(async move {
            let mut upto = Moment::now();
            while !place.is_healthy() {
                tokio::time::sleep(LOOK_EVERY).await;
                upto = Moment::now();
            }
            common.log.note(|at| Word::Recovered { upto, at });
            common.log.note(|_| Word::Healthy);
        });
    }

    pub(super) fn read_all(&mut self) {
        let (on_redis, in_memory) = (self.on_redis.clone(), self.in_memory.clone());
        let rows = self.rows(&Mode::ON_REDIS);
        let own = self.rows(&Mode::IN_MEMORY);
        let (one, other) = (self.task(&on_redis), self.task(&in_memory));
        let log = Arc::clone(&self.common.log);
        tokio::spawn(async move {
            on_redis.cache.scope(one.read_each(rows)).await;
            in_memory.cache.scope(other.read_each(own)).await;
            log.note(|_| Word::AllRead);
        });
    }
}

impl Place {
    fn was_away(&self, since: Moment) -> bool {
        self.seen.was_away(&self.cache, since)
    }

    fn is_healthy(&self) -> bool {
        let backend = self.cache.stats().backend;
        !backend.breaker_open && backend.undelivered_invalidations == 0
    }
}

/// Says when what was kept has been delivered.
async fn tell_of_deliveries(common: Arc<Common>, place: Place) {
    let mut told = Moment::START;
    loop {
        // Taken before the look: what was kept until then is what the look is about.
        let upto = Moment::now();
        // Nothing is kept without a failure.
        let is_news = place
            .seen
            .last_failure()
            .is_some_and(|failed| failed >= told);
        if is_news && place.is_healthy() {
            told = upto;
            common.log.note(|at| Word::Recovered { upto, at });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

struct Task {
    place: Place,
    station: Station,
    choices: Choices,
    writes: watch::Receiver<bool>,
    open: watch::Sender<u64>,
}

impl Task {
    async fn work(self, rows: Vec<RowId>, thought: u64) {
        loop {
            self.station.common.log.room().await;
            let done = match self.choices.next(&rows) {
                Choice::Read(row) => self.read(row).await,
                Choice::Write(row, through) => self.write_unless_held(row, through).await,
            };
            if !done {
                tokio::time::sleep(AFTER_FAILURE).await;
            }
            self.think(thought).await;
        }
    }

    async fn think(&self, thought: u64) {
        let random = &self.station.random;
        if thought > 0 {
            tokio::time::sleep(Duration::from_micros(random.below(thought))).await;
        } else if random.one_in(32) {
            random.pause().await;
        }
    }

    async fn read(&self, row: RowId) -> bool {
        let began = Moment::now();
        let Ok(value) = functions::read(&self.station, row).await else {
            return false;
        };
        let away = self.place.was_away(began);
        self.station.common.log.note(|ended| {
            Word::Read(Read {
                row,
                session: self.station.session,
                began,
                ended,
                version: value.version,
                asked: Moment(value.asked),
                loaded: Moment(value.loaded),
                loader: value.loader,
                written: value.written,
                away,
            })
        });
        true
    }

    async fn write_unless_held(&self, row: RowId, through: bool) -> bool {
        // First: whoever holds the writes waits for those that have got this far.
        self.open.send_modify(|open| *open += 1);
        let may = *self.writes.borrow();
        let done = !may || self.write(row, through).await;
        self.open.send_modify(|open| *open -= 1);
        done
    }

    async fn write(&self, row: RowId, through: bool) -> bool {
        let station = &self.station;
        station.began.store(Moment::now().0, Relaxed);
        let Ok(value) = functions::write(station, row, through).await else {
            return false;
        };
        let since = Moment(station.since.load(Relaxed));
        // It was not told, and could not be.
        let kept = !self.place.seen.is_settled(row, since) && self.place.was_away(since);
        station.common.log.note(|ended| {
            Word::Return(Return {
                row,
                version: value.version,
                since,
                ended,
                kept,
            })
        });
        true
    }

    /// Reads each row, again if that fails.
    async fn read_each(self, rows: Vec<RowId>) {
        for row in rows {
            while !self.read(row).await {
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}
