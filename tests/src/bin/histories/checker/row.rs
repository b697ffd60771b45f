//! The history of one row.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;

use super::KEPT;
use super::excuse::GRACE;
use super::floor::{Floor, Raise, Source};
use super::tally::Tally;
use crate::clock::Moment;
use crate::keys::{Level, RowId};
use crate::member::TTL;
use crate::words::{Commit, How, Read, Return, Word};

/// So many of its last reads, and as many of its last commits and returns, are printed.
const RECENT: usize = 24;

/// So many violations have what came before them in full.
const IN_FULL: u64 = 1000;

/// A write of which the commit is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) commit: Commit,
    pub(super) birth: u64,
    pub(super) returned: Option<Return>,
    /// When the backend was sure to know of it.
    pub(super) settled: Option<Moment>,
}

/// What is wrong with a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It began after a writer of something newer had returned.
    AfterInvalidation,
    /// It began after something newer had been read, or committed, of `strict`.
    NotLinearizable,
    /// It is of a value past its TTL.
    Expired,
    /// It is a write, and what it wrote had been read before it began.
    FromTheFuture,
    /// Nobody wrote what it returned.
    Unwritten,
}

impl Wrong {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AfterInvalidation => "stale_after_invalidation",
            Self::NotLinearizable => "not_linearizable",
            Self::Expired => "past_its_ttl",
            Self::FromTheFuture => "read_before_its_write",
            Self::Unwritten => "never_written",
        }
    }
}

/// A read that must be explained.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) birth: u64,
    pub(super) read: Read,
    pub(super) wrong: Wrong,
    /// What had raised the floor above it.
    pub(super) raises: Vec<Raise>,
    /// Whether the floor was that of its own process.
    pub(super) is_own: bool,
    history: Vec<(u64, Word)>,
}

#[derive(Debug)]
pub(super) struct Row {
    id: RowId,
    writes: BTreeMap<u64, Write>,
    /// Of versions up to this one the writes may have been forgotten.
    forgotten: u64,
    /// The highest version that was committed by a time.
    committed: Floor,
    floor: Floor,
    /// Of processes that could not tell the backend of their writes: what these themselves must not read any more.
    own: BTreeMap<u64, Floor>,
    kept: Vec<(u64, Return)>,
    /// The first to end of those reads that returned a version whose write has not been heard of.
    unwritten: BTreeMap<u64, (u64, Read)>,
    sessions: HashMap<u64, u64>,
    went_back: u64,
    reads: VecDeque<(u64, Word)>,
    changes: VecDeque<(u64, Word)>,
}

impl Row {
    pub(super) fn new(id: RowId) -> Self {
        Self {
            id,
            writes: BTreeMap::new(),
            forgotten: 0,
            committed: Floor::default(),
            floor: Floor::default(),
            own: BTreeMap::new(),
            kept: Vec::new(),
            unwritten: BTreeMap::new(),
            sessions: HashMap::new(),
            went_back: 0,
            reads: VecDeque::new(),
            changes: VecDeque::new(),
        }
    }

    pub(super) fn id(&self) -> RowId {
        self.id
    }

    fn level(&self) -> Level {
        self.id.mode().level()
    }

    pub(super) fn write(&self, version: u64) -> Option<&Write> {
        self.writes.get(&version)
    }

    pub(super) fn went_back(&self) -> u64 {
        self.went_back
    }

    fn remember(&mut self, birth: u64, word: Word) {
        let recent = match word {
            Word::Read(_) => &mut self.reads,
            _ => &mut self.changes,
        };
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back((birth, word));
    }

    fn candidate(&self, birth: u64, read: Read, wrong: Wrong) -> Candidate {
        Candidate {
            birth,
            read,
            wrong,
            raises: Vec::new(),
            is_own: false,
            history: self.changes.iter().chain(&self.reads).copied().collect(),
        }
    }

    /// Takes in a read, in the order in which they ended.
    pub(super) fn read(&mut self, birth: u64, read: Read, tally: &mut Tally) -> Option<Candidate> {
        self.remember(birth, Word::Read(read));
        *tally.reads.entry(self.id.mode().name()).or_default() += 1;
        let Some(floor) = self.floor.at(read.began) else {
            tally.unchecked += 1;
            return None;
        };
        if read.version > self.forgotten && !self.writes.contains_key(&read.version) {
            self.unwritten.entry(read.version).or_insert((birth, read));
        }
        let last = self.sessions.entry(read.session).or_default();
        self.went_back += u64::from(read.version < *last);
        *last = read.version.max(*last);
        let own = self.own.get(&birth).and_then(|own| own.at(read.began));
        let mut found = None;
        if read.version < floor || own.is_some_and(|own| read.version < own) {
            found = Some(self.below(birth, read, read.version >= floor));
        } else if read.began > read.loaded.after(TTL).after(GRACE) {
            found = Some(self.candidate(birth, read, Wrong::Expired));
        } else if self.level() == Level::Strict {
            let session = read.session;
            self.raise(read.ended, read.version, Source::Read { session });
        }
        if tally.below > IN_FULL
            && let Some(found) = &mut found
        {
            found.history = Vec::new();
        }
        found
    }

    fn below(&self, birth: u64, read: Read, is_own: bool) -> Candidate {
        let floor = if is_own {
            self.own.get(&birth).unwrap_or(&self.floor)
        } else {
            &self.floor
        };
        let raises = floor.raises_above(read.version, read.began);
        let is_of_reads =
            |raise: &Raise| matches!(raise.source, Source::Read { .. } | Source::Commit);
        let wrong = if raises.iter().all(is_of_reads) {
            Wrong::NotLinearizable
        } else {
            Wrong::AfterInvalidation
        };
        Candidate {
            raises,
            is_own,
            ..self.candidate(birth, read, wrong)
        }
    }

    /// Takes in a commit. Nobody can have read it, or a later one, before its writer was called.
    pub(super) fn commit(&mut self, birth: u64, commit: Commit) -> Option<Candidate> {
        self.remember(birth, Word::Commit(commit));
        let write = Write {
            commit,
            birth,
            returned: None,
            settled: None,
        };
        self.writes.insert(commit.version, write);
        let is_raised = self.level() == Level::Strict
            && self
                .floor
                .at(commit.began)
                .is_some_and(|floor| floor >= commit.version);
        let first = self.unwritten.remove(&commit.version);
        let is_read = first.is_some_and(|(_, read)| read.ended < commit.began);
        let found = (is_raised || is_read).then(|| self.too_late(birth, &commit));
        self.committed.raise(Raise {
            at: commit.at,
            version: commit.version,
            source: Source::Commit,
        });
        if self.level() == Level::Strict {
            self.raise(commit.at, commit.version, Source::Commit);
        }
        found
    }

    fn too_late(&self, birth: u64, commit: &Commit) -> Candidate {
        let read = Read {
            row: commit.row,
            session: commit.session,
            began: commit.began,
            ended: commit.at,
            version: commit.version,
            asked: commit.began,
            loaded: commit.at,
            loader: birth,
            written: false,
            away: false,
        };
        let raises = self
            .floor
            .raises_above(commit.version.saturating_sub(1), commit.began);
        Candidate {
            raises,
            ..self.candidate(birth, read, Wrong::FromTheFuture)
        }
    }

    pub(super) fn returned(&mut self, birth: u64, write: Return) {
        self.remember(birth, Word::Return(write));
        let raised = self.raised_by(&write);
        if let Some(known) = self.writes.get_mut(&write.version) {
            known.returned = Some(write);
            known.settled = (!write.kept).then_some(write.ended);
        }
        if self.level() == Level::Eventual {
            return;
        }
        let source = Source::Return { since: write.since };
        if write.kept {
            self.kept.push((birth, write));
            self.own.entry(birth).or_default().raise(Raise {
                at: write.ended,
                version: write.version,
                source,
            });
        } else {
            self.raise(write.ended, raised, source);
        }
    }

    /// What nobody is to read less than when this writer has returned. An invalidation removes whatever there was, and with it all that was committed before it began; a writer
    /// that stores its value may store it beside a newer one whose invalidation is yet to come.
    fn raised_by(&self, write: &Return) -> u64 {
        let how = self
            .writes
            .get(&write.version)
            .map(|known| known.commit.how);
        let before = match how {
            Some(How::Invalidates) => self.committed.at(write.since),
            _ => None,
        };
        before.unwrap_or(0).max(write.version)
    }

    /// What the process had kept until then has been delivered.
    pub(super) fn recovered(&mut self, birth: u64, upto: Moment, at: Moment) {
        let kept = std::mem::take(&mut self.kept);
        for (other, write) in kept {
            if other != birth || write.ended > upto {
                self.kept.push((other, write));
                continue;
            }
            if let Some(known) = self.writes.get_mut(&write.version) {
                known.settled = Some(at);
            }
            self.raise(at, write.version, Source::Return { since: write.ended });
        }
    }

    pub(super) fn raise(&mut self, at: Moment, version: u64, source: Source) {
        if source == Source::Killed && self.level() == Level::Eventual {
            return;
        }
        self.floor.raise(Raise {
            at,
            version,
            source,
        });
    }

    pub(super) fn forget(&mut self, before: Moment) {
        self.floor.forget(before);
        self.committed.forget(before);
        for own in self.own.values_mut() {
            own.forget(before);
        }
        while let Some(oldest) = self.writes.first_entry() {
            if oldest.get().commit.at >= before {
                break;
            }
            self.forgotten = *oldest.key();
            oldest.remove();
        }
        let forgotten = before.before(KEPT);
        self.unwritten
            .retain(|_, (_, read)| read.ended >= forgotten);
    }

    /// Reads of what nobody has written.
    pub(super) fn unwritten(&mut self) -> Vec<Candidate> {
        let reads = std::mem::take(&mut self.unwritten);
        let of_read = |(birth, read)| self.candidate(birth, read, Wrong::Unwritten);
        reads.into_values().map(of_read).collect()
    }
}

impl Candidate {
    /// What was read, why that is wrong, and what had happened to the row before. Times are in microseconds before the end of the read.
    pub(super) fn text(&self) -> String {
        let Self {
            birth,
            read,
            wrong,
            raises,
            ..
        } = self;
        let mode = read.row.mode().name();
        let ago = |time: Moment| read.ended.0.saturating_sub(time.0) / 1000;
        let mut text = format!(
            "{}: row {} ({mode}): process {birth}, session {}, read version {} from -{} to -0, {} from -{} to -{} by process {}, away {}",
            wrong.name(),
            read.row.0,
            read.session,
            read.version,
            ago(read.began),
            read.origin(),
            ago(read.asked),
            ago(read.loaded),
            read.loader,
            read.away,
        );
        // A string can be written to.
        for raise in raises {
            let _ = write!(
                text,
                "\n  floor {} at -{} by {:?}",
                raise.version,
                ago(raise.at),
                raise.source
            );
        }
        for (birth, word) in &self.history {
            let _ = match word {
                Word::Read(read) => write!(
                    text,
                    "\n  process {birth} session {} read {} from -{} to -{}, {} from -{} to -{} by process {}",
                    read.session,
                    read.version,
                    ago(read.began),
                    ago(read.ended),
                    read.origin(),
                    ago(read.asked),
                    ago(read.loaded),
                    read.loader
                ),
                Word::Commit(commit) => write!(
                    text,
                    "\n  process {birth} session {} committed {} ({:?}), from -{} to -{}",
                    commit.session,
                    commit.version,
                    commit.how,
                    ago(commit.began),
                    ago(commit.at)
                ),
                Word::Return(write) => write!(
                    text,
                    "\n  process {birth} returned from write {}, told the backend from -{} to -{}{}",
                    write.version,
                    ago(write.since),
                    ago(write.ended),
                    if write.kept { ", kept" } else { "" }
                ),
                _ => Ok(()),
            };
        }
        text
    }
}
