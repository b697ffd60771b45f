//! One partition and its owner: reads its writes, runs what is due, and tells the log what became of it.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

use super::bell::{Bell, News};
use super::group::{Body, Group};
use super::health::UnderWay;
use super::queue::{Demand, Queue};
use super::run::{self, Ended};
use super::{Log, Shared};
use crate::backend::log::{Done, LoggedWrite};
use crate::cache::{Cache, Inner};
use crate::clock::{Clock, Moment};
use crate::error::BackendError;
use crate::pattern::write_behind::report::FlushReport;
use crate::pattern::write_behind::writer::{self, Writer, guarded};

/// So many runs of a partition are under way at once: one body that hangs does not hold the others up.
const RUNS: usize = 4;

/// So many writes are read at once.
const PAGE: usize = 1000;

/// A partition in which nothing happens is looked at at least so often, for writes of other processes; those of this one ring.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// The pause after the log could not be told something.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

/// What is asked of an owner.
#[derive(Debug)]
pub(super) enum Command {
    /// Run all that is in the log now, and tell what came of it. With `patient` also wait for what is to be tried again.
    Flush {
        patient: bool,
        reply: oneshot::Sender<FlushReport>,
    },
}

/// A flush under way.
struct Flush {
    through: u64,
    patient: bool,
    before: FlushReport,
    reply: oneshot::Sender<FlushReport>,
}

/// The partition is somebody else's, or the worker ends.
pub(super) struct Lost;

/// What an owner is woken by.
enum Woken {
    ToWork,
    By(Command),
    Ended(Result<Ended, JoinError>),
    Lost,
}

/// The owner of one partition.
pub(super) struct Owner {
    pub(super) partition: u8,
    pub(super) log: Log,
    pub(super) clock: Clock,
    pub(super) cache: Weak<Inner>,
    pub(super) shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    writers: HashMap<String, Vec<&'static dyn Writer>>,
    pub(super) queue: Queue,
    runs: JoinSet<Ended>,
    flushes: Vec<Flush>,
    /// Runs that ended well, until the log knows.
    pub(super) done: Vec<Done>,
    /// Groups that are given up, until the log knows.
    pub(super) given_up: VecDeque<(Group, String)>,
    /// A run ended as none can.
    pub(super) is_broken: bool,
    pub(super) tally: FlushReport,
    read_through: u64,
    read_at: Moment,
    /// How long it has looked for writes in vain.
    idle_for: Duration,
    /// When the log is told again what it could not be told.
    pub(super) tell_at: Option<Moment>,
    due_at: Option<Moment>,
    is_hurried: bool,
    has_new_demand: bool,
}

impl Owner {
    pub(super) fn new(
        partition: u8,
        log: Log,
        clock: Clock,
        cache: Weak<Inner>,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let mut writers: HashMap<String, Vec<&'static dyn Writer>> = HashMap::new();
        for writer in writer::all() {
            let path = writer::path_of(writer.spec());
            writers.entry(path).or_default().push(writer);
        }
        Self {
            partition,
            log,
            read_at: clock.now(),
            clock,
            cache,
            shared,
            commands,
            writers,
            queue: Queue::default(),
            runs: JoinSet::new(),
            flushes: Vec::new(),
            done: Vec::new(),
            given_up: VecDeque::new(),
            is_broken: false,
            idle_for: Duration::ZERO,
            tally: FlushReport::default(),
            read_through: 0,
            tell_at: None,
            due_at: None,
            is_hurried: false,
            has_new_demand: false,
        }
    }

    /// Works until the partition is lost. What runs then is dropped: its new owner runs it again.
    pub(super) async fn work(mut self) {
        let Some(begun) = self.take_over().await else {
            return;
        };
        self.queue = begun;
        while let Ok(()) = self.round().await {
            if !self.wait().await {
                return;
            }
        }
    }

    /// What the log knows of an earlier owner's work.
    async fn take_over(&mut self) -> Option<Queue> {
        loop {
            match self.log.ask(|log| log.begun(self.partition)).await {
                Ok(begun) => return Some(Queue::new(begun)),
                Err(error) => self.complain("take over", &error),
            }
            self.clock.sleep(AGAIN).await;
            if self.commands.is_closed() {
                return None;
            }
        }
    }

    async fn round(&mut self) -> Result<(), Lost> {
        while let Some(ended) = self.runs.try_join_next() {
            self.ended(ended);
        }
        self.tell().await?;
        let news = self.news().take();
        if news != News::None || self.clock.now() >= self.read_at {
            self.read().await;
        }
        // Somebody waits for room in the log.
        self.is_hurried = news == News::Full;
        self.has_new_demand |= self.is_hurried;
        self.line_up();
        if self.give_up_unreadable() {
            self.tell().await?;
            self.line_up();
        }
        self.begin().await?;
        self.answer();
        if self.is_broken || self.is_retired() {
            return Err(Lost);
        }
        Ok(())
    }

    fn news(&self) -> &Bell {
        &self.shared.bells[self.partition as usize]
    }

    fn line_up(&mut self) {
        let asked = self.flushes.iter().map(|flush| flush.through).max();
        let hurried = self.is_hurried.then_some(self.read_through);
        let demand = asked.max(hurried).map_or(Demand::Nothing, Demand::Through);
        let all = std::mem::take(&mut self.has_new_demand);
        self.due_at = self.queue.line_up(self.clock.now(), demand, all);
    }

    /// Whether it is to give its partition to another process, and nothing is under way any more.
    fn is_retired(&self) -> bool {
        self.news().is_retiring()
            && self.runs.is_empty()
            && self.done.is_empty()
            && self.given_up.is_empty()
    }

    /// Reads what was appended since the last time, to its end.
    async fn read(&mut self) {
        // From here on a write of this process rings.
        self.news().is_waited_for();
        let before = self.read_through;
        loop {
            let (partition, after) = (self.partition, self.read_through);
            let page = match self.log.ask(|log| log.read(partition, after, PAGE)).await {
                Ok(page) => page,
                Err(error) => {
                    self.complain("read", &error);
                    break;
                }
            };
            if page.is_empty() {
                break;
            }
            let now = self.clock.now();
            for write in page {
                self.read_through = self.read_through.max(write.sequence);
                let body = self.body_of(&write);
                self.queue.push(write, body, now);
            }
        }
        let shortest = self.shared.poll_every;
        self.idle_for = if self.read_through > before {
            shortest
        } else {
            let longest = (shortest * 20).clamp(LONGEST_LOOK / 10, LONGEST_LOOK);
            (self.idle_for * 2).clamp(shortest, longest.max(shortest))
        };
        self.read_at = self.clock.now().after(self.idle_for);
    }

    /// Finds the writer of a logged write. Several may have one path, in functions of a test; then the shape of the arguments tells.
    fn body_of(&self, write: &LoggedWrite) -> Body {
        let mut why = None;
        for &writer in self.writers.get(&write.function).into_iter().flatten() {
            match guarded(|| writer.read(&write.payload)).and_then(|read| read) {
                Ok(arguments) => {
                    let writes = vec![arguments];
                    return Body::Readable { writer, writes };
                }
                Err(error) => why = Some(error),
            }
        }
        Body::Unreadable {
            payload: write.payload.clone(),
            why: why.unwrap_or_else(|| "this program has no writer of this name".to_owned()),
        }
    }

    fn give_up_unreadable(&mut self) -> bool {
        let groups = self.queue.next_unreadable();
        let any = !groups.is_empty();
        for group in groups {
            let why = match &group.body {
                Body::Unreadable { why, .. } => why.clone(),
                Body::Readable { .. } => String::new(),
            };
            self.given_up.push_back((group, why));
        }
        any
    }

    /// Begins runs while there is room for them: notes them in the log, and runs them if the partition is still this owner's.
    async fn begin(&mut self) -> Result<(), Lost> {
        let Some(inner) = self.cache.upgrade() else {
            return Err(Lost);
        };
        if self.tell_at.is_some() || self.news().is_retiring() {
            return Ok(());
        }
        if !self.shared.owns_for_a_while(&self.clock) {
            // The worker rings when it has reported.
            return Ok(());
        }
        let chosen = self.choose();
        if !self.given_up.is_empty() {
            self.tell_at = Some(self.clock.now());
        }
        if chosen.is_empty() {
            return Ok(());
        }
        let groups = chosen.iter().flat_map(|(_, run)| run);
        let begun: Vec<_> = groups.map(Group::next_attempt).collect();
        let (partition, member) = (self.partition, self.shared.member);
        match self
            .log
            .ask(|log| log.begin(partition, member, &begun))
            .await
        {
            Ok(Some(noted)) => {
                let cache = Cache { inner };
                let mut noted = noted.into_iter();
                for (under_way, groups) in chosen {
                    let groups = self.keep_noted(groups, &mut noted);
                    if groups.is_empty() {
                        continue;
                    }
                    let run = run::run(cache.clone(), &self.shared, self.clock.clone(), groups);
                    self.runs.spawn(async move {
                        let _under_way = under_way;
                        run.await
                    });
                }
                Ok(())
            }
            Ok(None) => Err(Lost),
            Err(error) => {
                self.complain("begin writes", &error);
                let again = self.clock.now().after(AGAIN);
                for group in chosen.into_iter().flat_map(|(_, run)| run) {
                    self.queue.put_back(group, Some(again));
                }
                Ok(())
            }
        }
    }

    /// The groups of a run that the log has noted, begun. The others are over, by another owner's hand.
    fn keep_noted(
        &mut self,
        run: Vec<Group>,
        noted: &mut impl Iterator<Item = bool>,
    ) -> Vec<Group> {
        let mut kept = Vec::with_capacity(run.len());
        for mut group in run {
            if noted.next().unwrap_or(false) {
                group.begin();
                kept.push(group);
            } else {
                self.queue.over(&group.key, group.last());
                // A later write of its key may be due.
                self.news().ring();
            }
        }
        kept
    }

    /// Takes out what is to run next, as far as there is room for it.
    fn choose(&mut self) -> Vec<(UnderWay, Vec<Group>)> {
        let mut chosen = Vec::new();
        while self.runs.len() + chosen.len() < RUNS {
            let (health, now) = (&self.shared.health, self.clock.now());
            let Some(run) = self.queue.next_run(|writer| health.lets(writer, now)) else {
                break;
            };
            // It was begun as often as it may, and nobody lived to tell what came of it: it may be what ended them.
            let (worn, run): (Vec<_>, Vec<_>) = run
                .into_iter()
                .partition(|group| group.attempts > self.shared.options.attempts);
            for group in worn {
                let why = "the worker ended each time while this write was run".to_owned();
                self.given_up.push_back((group, why));
            }
            if let Some(writer) = run.first().and_then(Group::writer) {
                chosen.push((self.shared.health.began(writer), run));
            }
        }
        chosen
    }

    /// Answers the flushes that have come to their end.
    fn answer(&mut self) {
        let now = self.clock.now();
        let (queue, health, tally) = (&self.queue, &self.shared.health, self.tally);
        let untold = !self.done.is_empty() || !self.given_up.is_empty();
        let over = |flush: &mut Flush| {
            !untold
                && if flush.patient {
                    !queue.has_any_through(flush.through)
                } else {
                    !queue.is_busy_through(flush.through, now, |writer| health.lets(writer, now))
                }
        };
        for flush in self.flushes.extract_if(.., over) {
            let report = FlushReport {
                written: tally.written - flush.before.written,
                failed: tally.failed - flush.before.failed,
                buried: tally.buried - flush.before.buried,
                remaining: 0,
                unpublished: 0,
            };
            // Whoever asked may have gone.
            let _ = flush.reply.send(report);
        }
    }

    /// Waits until there is something to do. `false`: the partition is given up.
    async fn wait(&mut self) -> bool {
        match self.woken().await {
            Woken::ToWork => {}
            Woken::By(Command::Flush { patient, reply }) => self.flush(patient, reply).await,
            Woken::Ended(ended) => self.ended(ended),
            Woken::Lost => return false,
        }
        true
    }

    async fn woken(&mut self) -> Woken {
        let now = self.clock.now();
        let until = [
            Some(self.read_at),
            self.due_at,
            self.tell_at,
            self.shared.health.next(now),
        ];
        let until = until.into_iter().flatten().min().unwrap_or(now);
        let mut sleep = pin!(self.clock.sleep(until.since(now)));
        let mut rung = pin!(self.shared.bells[self.partition as usize].rung());
        poll_fn(|cx| {
            if let Poll::Ready(command) = self.commands.poll_recv(cx) {
                return Poll::Ready(command.map_or(Woken::Lost, Woken::By));
            }
            if let Poll::Ready(Some(ended)) = self.runs.poll_join_next(cx) {
                return Poll::Ready(Woken::Ended(ended));
            }
            if rung.as_mut().poll(cx).is_ready() || sleep.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Woken::ToWork);
            }
            Poll::Pending
        })
        .await
    }

    async fn flush(&mut self, patient: bool, reply: oneshot::Sender<FlushReport>) {
        self.read().await;
        self.has_new_demand = true;
        self.flushes.push(Flush {
            through: self.read_through,
            patient,
            before: self.tally,
            reply,
        });
    }

    pub(super) fn complain(&self, what: &str, error: &BackendError) {
        tracing::debug!(partition = self.partition, %error, "write-behind log: cannot {what}");
    }
}
