//! Holds histories against promises, while they come in.
//!
//! **What is checked.** A row's versions grow by one with each write, in the order of the commits, and each write knows its own. So the order of all writes of a row is
//! known, and a history of reads and writes is linearizable (Herlihy, Wing, TOPLAS 1990) exactly if no operation returns before another begins that has its place before it in the order
//! write 1, reads of 1, write 2, reads of 2, …: a search for an order, as Wing and Gong's, has nothing left to find (`oracle` compares it with such a search). Each
//! operation that ends therefore raises a **floor**, and a read must not return less than the floor that was there when it began. The levels differ in what raises it:
//!
//! | level | raises the floor |
//! | --- | --- |
//! | `strict` | every read, every commit that its writer knows of, every return of a writer |
//! | `fenced` | the return of a writer: to its version, and an invalidation to all that was committed before it began |
//! | `eventual` | nothing; but at no level may a value be served for longer than its TTL, or before its write began |
//!
//! **What is excused.** A read below the floor is no violation if the documentation says that it may be ("what can still be stale"), for what happened to servers and
//! processes at that time; [`excuse`] says when. Without faults nothing is. These reads are counted by their reason.
//!
//! **How much is kept.** The streams of the processes are merged by the times at which operations ended, and of each row only the last minute is kept.

mod excuse;
mod faults;
mod floor;
mod merge;
#[cfg(test)]
mod oracle;
mod row;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::faults::Windows;
pub(crate) use self::faults::{Effect, Window};
use self::floor::Source;
use self::merge::Merge;
use self::row::{Candidate, Row};
use self::tally::Live;
pub(crate) use self::tally::{Failover, Tally};
use crate::clock::Moment;
use crate::keys::{Level, RowId};
use crate::words::Word;

/// Of a row only so much is kept; an operation that takes longer is not checked.
const KEPT: Duration = Duration::from_secs(60);

/// A read that has to be judged is judged so long after its end, when it is known what happened meanwhile.
const JUDGED_AFTER: Duration = Duration::from_secs(4);

/// So many violations are told in full.
const TOLD: usize = 10;

/// What the checker is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// A process has been started, and says nothing of before.
    Born(u64, Moment),
    Said(u64, Word),
    /// A process has said all that it ever will.
    Gone(u64),
    /// A fault has begun; it has no end yet.
    Begun(Window),
    /// The last fault has ended; this is what it did.
    Over(Effect, Moment),
    /// The process of a halted write was killed.
    Killed {
        row: RowId,
        version: u64,
        at: Moment,
    },
    /// The database has this version, and no write is under way.
    Is {
        row: RowId,
        version: u64,
        at: Moment,
    },
    /// Nothing comes any more.
    Finish,
}

/// The checker's thread, as others see it.
#[derive(Debug)]
pub(crate) struct Checker {
    messages: Sender<Message>,
    live: Arc<Live>,
    thread: JoinHandle<Tally>,
}

impl Checker {
    pub(crate) fn start() -> Self {
        let (messages, received) = mpsc::channel();
        let live = Arc::<Live>::default();
        let state = State {
            live: Arc::clone(&live),
            ..State::default()
        };
        Self {
            messages,
            live,
            thread: thread::spawn(move || state.run(&received)),
        }
    }

    pub(crate) fn messages(&self) -> Sender<Message> {
        self.messages.clone()
    }

    pub(crate) fn tell(&self, message: Message) {
        // It ends only after it was told to.
        let _ = self.messages.send(message);
    }

    /// How many reads have been checked until now.
    pub(crate) fn checked(&self) -> u64 {
        self.live.checked.load(Relaxed)
    }

    /// How many violations there are until now, those that are yet to be judged left out.
    pub(crate) fn violations(&self) -> u64 {
        self.live.violations.load(Relaxed)
    }

    pub(crate) fn finish(self) -> Tally {
        self.tell(Message::Finish);
        match self.thread.join() {
            Ok(tally) => tally,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

#[derive(Default)]
struct State {
    merge: Merge,
    rows: BTreeMap<RowId, Row>,
    windows: Windows,
    waiting: Vec<Candidate>,
    tally: Tally,
    live: Arc<Live>,
    swept: Moment,
}

impl State {
    fn run(mut self, messages: &Receiver<Message>) -> Tally {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Born(birth, at) => self.merge.born(birth, at),
                Message::Said(birth, word) => {
                    if self.merge.said(birth, word) {
                        self.advance();
                    }
                }
                Message::Gone(birth) => {
                    self.merge.gone(birth);
                    self.advance();
                }
                Message::Begun(window) => self.windows.begin(window),
                Message::Over(effect, at) => self.windows.end(effect, at),
                Message::Killed { row, version, at } => {
                    self.row(row).raise(at, version, Source::Killed);
                }
                Message::Is { row, version, at } => self.row(row).raise(at, version, Source::Row),
                Message::Finish => break,
            }
        }
        self.finish()
    }

    fn row(&mut self, row: RowId) -> &mut Row {
        self.rows.entry(row).or_insert_with(|| Row::new(row))
    }

    /// Takes in all that is sure to have nothing before it any more.
    fn advance(&mut self) {
        while let Some((birth, word)) = self.merge.next() {
            self.take(birth, word);
        }
        let horizon = self.merge.horizon();
        if horizon.since(self.swept) > Duration::from_secs(1) {
            self.swept = horizon;
            self.sweep(horizon);
        }
    }

    fn take(&mut self, birth: u64, word: Word) {
        let found = match word {
            Word::Read(read) => {
                let row = self
                    .rows
                    .entry(read.row)
                    .or_insert_with(|| Row::new(read.row));
                let found = row.read(birth, read, &mut self.tally);
                self.live.checked.fetch_add(1, Relaxed);
                found
            }
            Word::Commit(commit) => self.row(commit.row).commit(birth, commit),
            Word::Return(write) => {
                self.tally.writes += 1;
                self.windows.note_return(&write);
                self.row(write.row).returned(birth, write);
                None
            }
            Word::Recovered { upto, at } => {
                for row in self.rows.values_mut() {
                    row.recovered(birth, upto, at);
                }
                None
            }
            Word::Mark(_) | Word::Halted { .. } | Word::Held | Word::Healthy | Word::AllRead => {
                None
            }
        };
        if let Some(candidate) = found {
            self.tally.below += 1;
            self.waiting.push(candidate);
        }
    }

    /// Judges what can be judged, and forgets what nobody asks for any more.
    fn sweep(&mut self, horizon: Moment) {
        self.windows.count_lost(horizon);
        if self.windows.open().is_none() {
            let due = horizon.before(JUDGED_AFTER);
            let (now, later) = std::mem::take(&mut self.waiting)
                .into_iter()
                .partition(|candidate| candidate.read.ended < due);
            self.waiting = later;
            self.judge(now);
        }
        let oldest = self
            .waiting
            .iter()
            .map(|candidate| candidate.read.began)
            .min();
        let before = horizon
            .before(KEPT)
            .min(oldest.unwrap_or(Moment::NEVER).before(KEPT / 2));
        for row in self.rows.values_mut() {
            row.forget(before);
        }
    }

    fn judge(&mut self, candidates: Vec<Candidate>) {
        for candidate in candidates {
            let Some(row) = self.rows.get(&candidate.read.row) else {
                continue;
            };
            match excuse::of(&candidate, row, &self.windows) {
                Some(excuse) => {
                    let told = self.tally.told_of_excused.entry(excuse.name());
                    told.or_insert_with(|| candidate.text());
                    self.windows
                        .note_excused(&candidate.read, excuse, &mut self.tally);
                }
                None => self.violated(&candidate),
            }
        }
    }

    fn violated(&mut self, candidate: &Candidate) {
        *self
            .tally
            .violations
            .entry(candidate.wrong.name())
            .or_default() += 1;
        self.live.violations.fetch_add(1, Relaxed);
        if self.tally.told.len() < TOLD {
            let text = candidate.text();
            eprintln!("histories: {text}");
            self.tally.told.push(text);
        }
    }

    fn finish(mut self) -> Tally {
        self.merge.end_all();
        self.advance();
        if let Some(open) = self.windows.open() {
            self.windows.end(open.effect, Moment::now());
        }
        self.windows.count_lost(Moment::now());
        let rest = std::mem::take(&mut self.waiting);
        self.judge(rest);
        // What was read and never written: of a process that was killed the commit may not have been heard of.
        let mut unwritten = Vec::new();
        if self.windows.is_empty() {
            for row in self.rows.values_mut() {
                unwritten.extend(row.unwritten());
            }
        }
        for candidate in unwritten {
            self.violated(&candidate);
        }
        for row in self.rows.values() {
            let mode = row.id().mode();
            if mode.level() != Level::Strict {
                *self.tally.went_back.entry(mode.name()).or_default() += row.went_back();
            }
        }
        self.tally.failovers = self.windows.failovers();
        self.tally
    }
}
