//! The worker of a process: reports to the log, and has an owner at work for each partition that is given to it.

mod bell;
mod endings;
mod group;
mod health;
mod partition;
mod queue;
mod run;

pub(super) use run::is_inside;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};

use self::bell::Bell;
use self::health::Health;
use self::partition::{Command, Owner};
use super::options::WriteBehind;
use super::report::{Counts, FlushReport};
use crate::backend::log::{LogSize, Owned, PARTITIONS, WriteLog};
use crate::backend::{BackendFuture, Token};
use crate::cache::Inner;
use crate::clock::{Clock, Moment};
use crate::error::BackendError;
use crate::guard::Guarded;
use crate::mutants::{self, Mutant};
use crate::pattern::contexts::Contexts;
use crate::race;

/// So many are told of room at once: whoever is not asks again by itself.
const MOST_TOLD: usize = 1024;

/// The log, with a limit to how long it may take to answer.
#[derive(Debug, Clone)]
pub(super) struct Log {
    guarded: Arc<Guarded>,
    timeout: Duration,
}

impl Log {
    pub(super) fn new(guarded: Arc<Guarded>, timeout: Duration) -> Self {
        Self { guarded, timeout }
    }

    pub(super) async fn ask<'a, T>(
        &'a self,
        operation: impl FnOnce(&'a dyn WriteLog) -> BackendFuture<'a, T>,
    ) -> Result<T, BackendError> {
        self.guarded.ask_log(self.timeout, operation).await
    }
}

/// What the worker, its owners and the calls of this process share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) member: Token,
    pub(super) options: WriteBehind,
    pub(super) contexts: Contexts,
    /// Those who wait for room in the log, by the function of their writes.
    rooms: Mutex<HashMap<String, Arc<Notify>>>,
    health: Arc<Health>,
    pub(super) counts: Counts,
    /// How often an owner looks for writes of other processes.
    poll_every: Duration,
    lease_ttl: Duration,
    bells: [Bell; PARTITIONS as usize],
    owners: Mutex<HashMap<u8, OwnerHandle>>,
    /// Until when the partitions are this process's for sure.
    owned_until: Mutex<Option<Moment>>,
    /// How often it has reported.
    reports: watch::Sender<u64>,
    size: Mutex<LogSize>,
    stop: Notify,
    stopped: AtomicBool,
}

#[derive(Debug)]
struct OwnerHandle {
    term: u64,
    commands: mpsc::UnboundedSender<Command>,
    task: AbortHandle,
}

impl Drop for OwnerHandle {
    fn drop(&mut self) {
        // At once: another process may run the same writes from now on.
        self.task.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        options: WriteBehind,
        contexts: Contexts,
        poll_every: Duration,
        lease_ttl: Duration,
    ) -> Self {
        Self {
            member: Token::fresh(),
            options,
            contexts,
            rooms: Mutex::default(),
            health: Arc::default(),
            counts: Counts::default(),
            poll_every,
            lease_ttl,
            bells: std::array::from_fn(|_| Bell::default()),
            owners: Mutex::default(),
            owned_until: Mutex::new(None),
            reports: watch::Sender::new(0),
            size: Mutex::default(),
            stop: Notify::new(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Whether what is begun now is likely to end while the partitions are this process's.
    fn owns_for_a_while(&self, clock: &Clock) -> bool {
        let soon = clock.now().after(self.lease_ttl / 4);
        locked(&self.owned_until).is_some_and(|until| soon < until)
    }

    /// Whether they are its own now, for all that it knows.
    fn owns(&self, clock: &Clock) -> bool {
        locked(&self.owned_until).is_some_and(|until| clock.now() < until)
    }

    pub(super) fn appended(&self, partition: u8, batch: u32) {
        if let Some(bell) = self.bells.get(partition as usize) {
            bell.appended(batch);
        }
    }

    /// Rung when there is room for writes of the function.
    pub(super) fn room(&self, function: &str) -> Arc<Notify> {
        let mut rooms = locked(&self.rooms);
        if let Some(room) = rooms.get(function) {
            return Arc::clone(room);
        }
        let room = Arc::<Notify>::default();
        rooms.insert(function.to_owned(), Arc::clone(&room));
        room
    }

    /// There is room for so many more writes: as many who wait are told.
    fn made_room(&self, function: &str, writes: usize) {
        let room = locked(&self.rooms).get(function).map(Arc::clone);
        if let Some(room) = room {
            (0..writes.min(MOST_TOLD)).for_each(|_| room.notify_one());
        }
    }

    /// Tells all who wait for room to look.
    pub(super) fn wake_all(&self) {
        let rooms: Vec<_> = locked(&self.rooms).values().map(Arc::clone).collect();
        rooms.iter().for_each(|room| room.notify_waiters());
    }

    /// Has all owners look.
    fn ring(&self) {
        self.bells.iter().for_each(Bell::ring);
    }

    /// Has all owners of this process make room.
    pub(super) fn full(&self) {
        for bell in &self.bells {
            bell.full();
        }
    }

    pub(super) fn owned(&self) -> usize {
        locked(&self.owners).len()
    }

    pub(super) fn last_size(&self) -> LogSize {
        locked(&self.size).clone()
    }

    pub(super) fn note_size(&self, size: LogSize) {
        *locked(&self.size) = size;
    }

    /// For a worker that begins where another has ended with its runtime.
    pub(super) fn begin_anew(&self) {
        self.reports.send_replace(0);
        locked(&self.owners).clear();
        *locked(&self.owned_until) = None;
    }

    /// Ends the worker.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.stop.notify_waiters();
        // For a worker that is not waiting just now.
        self.stop.notify_one();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Asks all owners to run what is in the log now, and adds up what came of it.
    pub(super) async fn flush(&self, patient: bool) -> FlushReport {
        let replies: Vec<_> = locked(&self.owners)
            .values()
            .filter_map(|owner| {
                let (reply, answer) = oneshot::channel();
                owner
                    .commands
                    .send(Command::Flush { patient, reply })
                    .ok()?;
                Some(answer)
            })
            .collect();
        let mut sum = FlushReport::default();
        for reply in replies {
            // An owner that lost its partition answers nothing.
            if let Ok(report) = reply.await {
                sum.written += report.written;
                sum.failed += report.failed;
                sum.buried += report.buried;
            }
        }
        sum
    }

    /// Waits until the worker has reported once more, or has never been able to in this time.
    pub(super) async fn attended(&self, patience: Duration) {
        let mut reports = self.reports.subscribe();
        let attended = reports.wait_for(|reports| *reports > 0);
        let _ = tokio::time::timeout(patience, attended).await;
    }
}

/// The worker, started when it is first needed, and again if the runtime that it ran in has ended.
#[derive(Debug, Default)]
pub(super) struct Worker(Mutex<Option<JoinHandle<()>>>);

impl Worker {
    /// Sees to it that it runs.
    pub(super) fn ensure(&self, start: impl FnOnce() -> Supervisor) {
        let mut task = locked(&self.0);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            *task = Some(runtime.spawn(start().work()));
        }
    }

    /// Waits for its end, but not for ever: the runtime that it belongs to may be one that nobody drives.
    pub(super) async fn ended(&self, patience: Duration) {
        let task = locked(&self.0).take();
        if let Some(mut task) = task
            && tokio::time::timeout(patience, &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

/// Reports to the log, and keeps an owner at work for each partition.
pub(super) struct Supervisor {
    pub(super) log: Log,
    pub(super) clock: Clock,
    pub(super) cache: Weak<Inner>,
    pub(super) shared: Arc<Shared>,
}

impl Supervisor {
    async fn work(self) {
        self.warn().await;
        while !self.shared.is_stopped() && self.cache.strong_count() > 0 {
            // A clock that was moved on during the report has left it behind.
            while self.report().await && !self.shared.owns(&self.clock) {
                tokio::task::yield_now().await;
            }
            let mut stop = pin!(self.shared.stop.notified());
            let mut tick = pin!(self.clock.sleep(self.shared.lease_ttl / 3));
            race::first(stop.as_mut(), tick.as_mut()).await;
        }
        locked(&self.shared.owners).clear();
        let member = self.shared.member;
        let _ = self.log.ask(|log| log.leave(member)).await;
    }

    /// Says what could lose the log.
    async fn warn(&self) {
        let mut dangers = self.log.ask(WriteLog::dangers).await;
        while dangers.is_err() && !self.shared.is_stopped() && self.cache.strong_count() > 0 {
            self.clock.sleep(Duration::from_secs(1)).await;
            dangers = self.log.ask(WriteLog::dangers).await;
        }
        for danger in dangers.unwrap_or_default() {
            tracing::warn!("write-behind log: {danger}");
        }
    }

    /// Whether the log answered.
    async fn report(&self) -> bool {
        let (member, ttl) = (self.shared.member, self.shared.lease_ttl);
        // Counted from before the question: the log counts from when it has it.
        let asked = self.clock.now();
        let answered = match self.log.ask(|log| log.attend(member, ttl)).await {
            Ok(attendance) => {
                // First, so that none of them goes on who is to end.
                self.employ(&attendance.owned);
                *locked(&self.shared.owned_until) = Some(asked.after(ttl));
                // Some may wait for just this.
                self.shared.ring();
                self.hand_over(attendance.partitions(), attendance.share)
                    .await;
                if let Ok(size) = self.log.ask(WriteLog::size).await {
                    self.shared.note_size(size);
                }
                true
            }
            Err(error) => {
                tracing::debug!(%error, "write-behind log: cannot report");
                let until = *locked(&self.shared.owned_until);
                if until.is_none_or(|until| self.clock.now() >= until) {
                    locked(&self.shared.owners).clear();
                }
                false
            }
        };
        self.shared.reports.send_modify(|reports| *reports += 1);
        answered
    }

    /// Has an owner at work for each of these partitions, and for no other. One that began in an earlier term does not go on: what it has read may have
    /// been run by others, as after a pause of the whole process, and together with later writes it would be run again under their number.
    fn employ(&self, owned: &[Owned]) {
        let mut owners = locked(&self.shared.owners);
        owners.retain(|&partition, owner| {
            let term = owner.term;
            let is_owned = |it: &Owned| {
                it.partition == partition
                    && (it.term == term || mutants::on(Mutant::OwnerWithoutTerm))
            };
            owned.iter().any(is_owned) && !owner.task.is_finished()
        });
        for &Owned { partition, term } in owned {
            let Some(bell) = self.shared.bells.get(partition as usize) else {
                continue;
            };
            if owners.contains_key(&partition) || bell.is_retiring() {
                continue;
            }
            let (commands, received) = mpsc::unbounded_channel();
            let owner = Owner::new(
                partition,
                self.log.clone(),
                self.clock.clone(),
                Weak::clone(&self.cache),
                Arc::clone(&self.shared),
                received,
            );
            let task = tokio::spawn(owner.work()).abort_handle();
            let owner = OwnerHandle {
                term,
                commands,
                task,
            };
            owners.insert(partition, owner);
        }
    }

    /// Gives up what is more than this process's share, once its owner has ended what is under way.
    async fn hand_over(&self, mut owned: Vec<u8>, share: u8) {
        owned.sort_unstable();
        let surplus = owned.split_off(owned.len().min(share as usize));
        for partition in owned {
            self.shared.bells[partition as usize].retire(false);
        }
        let mut free = Vec::new();
        for partition in surplus {
            let bell = &self.shared.bells[partition as usize];
            if bell.is_retiring() && !locked(&self.shared.owners).contains_key(&partition) {
                free.push(partition);
            }
            bell.retire(true);
        }
        if !free.is_empty() {
            let member = self.shared.member;
            let _ = self.log.ask(|log| log.resign(member, &free)).await;
        }
    }
}
