//! The pending writes of one partition as its owner sees them: by key, in order, and those that are due in line.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};

use super::group::{Body, Group};
use crate::backend::log::{Begun, LoggedWrite};
use crate::clock::Moment;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::pattern::write_behind::writer::{Writer, id_of, is_same};

/// The writes of one key, in order.
#[derive(Debug, Default)]
struct Chain {
    groups: VecDeque<Group>,
    /// The first sequence number of the group that is out to be run.
    out: Option<u64>,
    /// It is in line to be run.
    is_in_line: bool,
    /// As it is noted in [`Queue::firsts`].
    first: Option<u64>,
    /// It is among those to be looked at.
    has_changed: bool,
    /// As it lies in [`Queue::timed`].
    timed: Option<Moment>,
}

impl Chain {
    fn first(&self) -> Option<u64> {
        self.out.or_else(|| self.groups.front().map(Group::first))
    }
}

/// The pending writes that were read.
///
/// A change of one key costs no look at the others: what has changed is looked at when the keys are [lined up](Self::line_up), and what
/// only waits for its time lies in a heap.
#[derive(Debug, Default)]
pub(super) struct Queue {
    chains: HashMap<Key, Chain>,
    /// What the log knew of groups that were begun by an earlier owner.
    begun: HashMap<Key, Begun>,
    /// How many writes of each writer wait here.
    waiting: HashMap<usize, usize>,
    /// Keys whose first group is due, by writer, in the order in which they became due.
    lines: Vec<Line>,
    unreadable: Vec<Key>,
    /// Keys to be looked at.
    changed: Vec<Key>,
    /// When others are to be looked at again. Some may have become due by other means since.
    timed: BinaryHeap<Reverse<(Moment, Key)>>,
    /// All keys by the first of their writes.
    firsts: BTreeSet<(u64, Key)>,
    /// So many writes of a writer wait that all of its keys are due.
    has_full_batch: bool,
}

#[derive(Debug)]
struct Line {
    writer: &'static dyn Writer,
    keys: VecDeque<Key>,
}

/// What to regard as due beside what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    Nothing,
    /// All writes up to this sequence number.
    Through(u64),
}

impl Demand {
    fn covers(self, group: &Group) -> bool {
        match self {
            Self::Nothing => false,
            Self::Through(last) => group.first() <= last,
        }
    }
}

/// What is to be done with a key.
enum Turn {
    Now,
    At(Moment),
    /// It is out, in line, or has nothing.
    None,
}

impl Queue {
    pub(super) fn new(begun: Vec<Begun>) -> Self {
        let begun = begun.into_iter().map(|begun| (begun.key.clone(), begun));
        Self {
            begun: begun.collect(),
            ..Self::default()
        }
    }

    /// Adds a write that was read from the log.
    pub(super) fn push(&mut self, write: LoggedWrite, body: Body, now: Moment) {
        let LoggedWrite {
            sequence,
            key,
            function,
            age,
            ..
        } = write;
        let begun = self.begun.get(&key);
        let begun = begun.filter(|begun| sequence <= begun.through).cloned();
        if let Body::Readable { writer, .. } = &body {
            self.count_in(*writer, 1);
        }
        let chain = self.chains.entry(key.clone()).or_default();
        let body = match (body, chain.groups.back_mut()) {
            (Body::Readable { writer, writes }, Some(last)) if last.may_take(writer, sequence) => {
                last.take(writes, [sequence]);
                return self.change(key);
            }
            (body, _) => body,
        };
        let mut group = Group::new(key.clone(), function, body, sequence, now.before(age));
        if let Some(begun) = begun {
            group.attempts = begun.attempts;
            group.begun_through = Some(begun.through);
        }
        chain.groups.push_back(group);
        self.change(key);
    }

    fn count_in(&mut self, writer: &dyn Writer, writes: usize) {
        let waiting = self.waiting.entry(id_of(writer)).or_default();
        let batch = writer.spec().write_queueing().batch_size() as usize;
        // Those that wait already become due with this one.
        self.has_full_batch |= (1..batch).contains(waiting) && *waiting + writes >= batch;
        *waiting += writes;
    }

    fn count_out(&mut self, group: &Group) {
        if let Some(writer) = group.writer()
            && let Some(waiting) = self.waiting.get_mut(&id_of(writer))
        {
            *waiting = waiting.saturating_sub(group.sequences.len());
        }
    }

    /// Has the key looked at, and notes its first write.
    fn change(&mut self, key: Key) {
        let Some(chain) = self.chains.get_mut(&key) else {
            return;
        };
        let first = chain.first();
        if first != chain.first {
            if let Some(old) = chain.first {
                self.firsts.remove(&(old, key.clone()));
            }
            if let Some(new) = first {
                self.firsts.insert((new, key.clone()));
            }
            chain.first = first;
        }
        if first.is_none() {
            self.chains.remove(&key);
        } else if !std::mem::replace(&mut chain.has_changed, true) {
            self.changed.push(key);
        }
    }

    /// Puts the keys that are due in line, and tells when the next will be. All keys are looked at where `all` says so, as for a new demand.
    pub(super) fn line_up(&mut self, now: Moment, demand: Demand, all: bool) -> Option<Moment> {
        let mut keys = std::mem::take(&mut self.changed);
        if all || std::mem::take(&mut self.has_full_batch) {
            keys = self.chains.keys().cloned().collect();
        }
        while let Some(Reverse((moment, _))) = self.timed.peek()
            && *moment <= now
        {
            keys.extend(self.timed.pop().map(|Reverse((_, key))| key));
        }
        let mut batches: Vec<&'static dyn Writer> = Vec::new();
        for key in keys {
            let turn = self.turn_of(&key, now, demand);
            let Some(chain) = self.chains.get_mut(&key) else {
                continue;
            };
            chain.has_changed = false;
            match turn {
                Turn::Now => {
                    let batch = chain.groups.front().and_then(Group::batch);
                    let known = |writer| batches.iter().any(|batch| is_same(*batch, writer));
                    batches.extend(batch.filter(|writer| !known(*writer)));
                    self.put_in_line(key);
                }
                Turn::At(moment) if chain.timed == Some(moment) && moment > now => {}
                Turn::At(moment) => {
                    chain.timed = Some(moment);
                    self.timed.push(Reverse((moment, key)));
                }
                Turn::None => {}
            }
        }
        for writer in batches {
            self.fill_up(writer, now);
        }
        self.timed.peek().map(|Reverse((moment, _))| *moment)
    }

    /// Has a batch that sets out take along what is not due yet. Else keys that were written at different times would have a run each.
    fn fill_up(&mut self, writer: &'static dyn Writer, now: Moment) {
        let batch = writer.spec().write_queueing().batch_size() as usize;
        let room = batch.saturating_sub(self.line_of(writer).len());
        let could_join = |key: &&Key| {
            let chain = self.chains.get(*key).filter(|chain| chain.out.is_none());
            let chain = chain.filter(|chain| !chain.is_in_line);
            let head = chain.and_then(|chain| chain.groups.front());
            let head = head.filter(|head| !head.is_paused(now));
            head.and_then(Group::batch)
                .is_some_and(|own| is_same(own, writer))
        };
        let keys = self.firsts.iter().map(|(_, key)| key);
        let company: Vec<Key> = keys.filter(could_join).take(room).cloned().collect();
        for key in company {
            self.put_in_line(key);
        }
    }

    fn turn_of(&self, key: &Key, now: Moment, demand: Demand) -> Turn {
        let chain = self.chains.get(key);
        let is_free =
            |chain: &&Chain| chain.out.is_none() || mutants::on(Mutant::OrderOfKeyNotKept);
        let chain = chain.filter(is_free);
        let Some(chain) = chain.filter(|chain| !chain.is_in_line) else {
            return Turn::None;
        };
        let Some(head) = chain.groups.front() else {
            return Turn::None;
        };
        if let Some(until) = head.not_before.filter(|moment| *moment > now) {
            return Turn::At(until);
        }
        // A later write that is due takes the earlier ones of its key along.
        let mut soonest = None;
        for group in &chain.groups {
            let due_at = group.due_at();
            if self.is_of_full_batch(group)
                || demand.covers(group)
                || due_at.is_none_or(|moment| moment <= now)
            {
                return Turn::Now;
            }
            soonest = soonest.into_iter().chain(due_at).min();
        }
        soonest.map_or(Turn::None, Turn::At)
    }

    fn is_of_full_batch(&self, group: &Group) -> bool {
        group.writer().is_some_and(|writer| {
            let waiting = self.waiting.get(&id_of(writer)).copied();
            waiting.unwrap_or(0) >= writer.spec().write_queueing().batch_size() as usize
        })
    }

    fn put_in_line(&mut self, key: Key) {
        let Some(chain) = self.chains.get_mut(&key) else {
            return;
        };
        chain.is_in_line = true;
        match chain.groups.front().and_then(Group::writer) {
            Some(writer) => self.line_of(writer).push_back(key),
            None => self.unreadable.push(key),
        }
    }

    fn line_of(&mut self, writer: &'static dyn Writer) -> &mut VecDeque<Key> {
        let found = self
            .lines
            .iter()
            .position(|line| is_same(line.writer, writer));
        let at = found.unwrap_or_else(|| {
            let keys = VecDeque::new();
            self.lines.push(Line { writer, keys });
            self.lines.len() - 1
        });
        &mut self.lines[at].keys
    }

    /// Takes out the groups of one run: several of a writer that takes batches and that have not failed yet, else one. `may_run` says
    /// whose turn it is.
    pub(super) fn next_run(&mut self, may_run: impl Fn(&dyn Writer) -> bool) -> Option<Vec<Group>> {
        let at = self
            .lines
            .iter()
            .position(|line| !line.keys.is_empty() && may_run(line.writer))?;
        // To the end of the row, so that writers take turns.
        let mut line = self.lines.remove(at);
        let most = if line.writer.has_batch() {
            line.writer.spec().write_queueing().batch_size() as usize
        } else {
            1
        };
        let mut run: Vec<Group> = Vec::new();
        while run.len() < most {
            let Some(key) = line.keys.pop_front() else {
                break;
            };
            // One that failed in company is tried alone.
            let failed = self.head_failed(&key);
            if failed && !run.is_empty() {
                line.keys.push_front(key);
                break;
            }
            run.extend(self.take_out(&key));
            if failed {
                break;
            }
        }
        self.lines.push(line);
        Some(run).filter(|run| !run.is_empty())
    }

    fn head_failed(&self, key: &Key) -> bool {
        let head = self.chains.get(key).and_then(|chain| chain.groups.front());
        head.is_some_and(|group| group.attempts > 0)
    }

    /// Takes out the groups that cannot be read and are first of their keys.
    pub(super) fn next_unreadable(&mut self) -> Vec<Group> {
        let keys = std::mem::take(&mut self.unreadable);
        keys.iter().filter_map(|key| self.take_out(key)).collect()
    }

    /// Takes out the first group of the key, made one write.
    fn take_out(&mut self, key: &Key) -> Option<Group> {
        let chain = self.chains.get_mut(key)?;
        chain.is_in_line = false;
        let mut group = chain.groups.pop_front()?;
        for apart in group.fold().into_iter().rev() {
            chain.groups.push_front(apart);
        }
        chain.out = Some(group.first());
        self.count_out(&group);
        Some(group)
    }

    /// Forgets a group that is over.
    pub(super) fn over(&mut self, key: &Key, last: u64) {
        let begun = self.begun.get(key);
        if begun.is_some_and(|begun| begun.through <= last) {
            self.begun.remove(key);
        }
        if let Some(chain) = self.chains.get_mut(key) {
            chain.out = None;
        }
        self.change(key.clone());
    }

    /// Puts a group back to be tried again. Where the last write counts and a later one has come meanwhile, that takes its place.
    pub(super) fn put_back(&mut self, mut group: Group, not_before: Option<Moment>) {
        group.not_before = not_before;
        let key = group.key.clone();
        let chain = self.chains.entry(key.clone()).or_default();
        chain.out = None;
        if let Some(writer) = group.writer() {
            let next_is_same = chain.groups.front().is_some_and(|next| {
                !writer.merges() && next.writer().is_some_and(|next| is_same(next, writer))
            });
            let own = group.sequences.len();
            if next_is_same
                && let Some(next) = chain.groups.pop_front()
                && let Body::Readable { writes, .. } = next.body
            {
                group.take(writes, next.sequences);
                group.attempts = 0;
            }
            chain.groups.push_front(group);
            self.count_in(writer, own);
        } else {
            chain.groups.push_front(group);
        }
        self.change(key);
    }

    /// Whether a write up to this one is being run, or could be.
    pub(super) fn is_busy_through(
        &self,
        last: u64,
        now: Moment,
        may_run: impl Fn(&dyn Writer) -> bool,
    ) -> bool {
        let is_busy = |chain: &Chain| {
            let could_run =
                |head: &Group| !head.is_paused(now) && head.writer().is_none_or(&may_run);
            chain.out.is_some() || chain.groups.front().is_some_and(could_run)
        };
        self.firsts
            .iter()
            .take_while(|(first, _)| *first <= last)
            .any(|(_, key)| self.chains.get(key).is_some_and(is_busy))
    }

    /// Whether a write up to this one is here at all.
    pub(super) fn has_any_through(&self, last: u64) -> bool {
        self.firsts.first().is_some_and(|(first, _)| *first <= last)
    }
}
