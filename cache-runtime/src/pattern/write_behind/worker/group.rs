//! Writes of one key and one writer that run as one.

use crate::backend::log::{Begun, Payload};
use crate::clock::Moment;
use crate::key::Key;
use crate::pattern::write_behind::writer::{Arguments, Writer, guarded, is_same};

/// A group of writes.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) key: Key,
    pub(super) function: String,
    pub(super) body: Body,
    /// Ascending, at least one.
    pub(super) sequences: Vec<u64>,
    /// When the oldest was appended.
    pub(super) since: Moment,
    /// How often it was begun, but for the times when the database seemed to be away.
    pub(super) attempts: u32,
    /// How often it failed, or what was overtaken by it.
    pub(super) failures: u32,
    /// It was begun as it is, up to this sequence number: a later write must not become part of it, or a body that ran without being
    /// acknowledged would be given the earlier ones again under the number of a later one.
    pub(super) begun_through: Option<u64>,
    /// Its writes could not be made one.
    is_alone: bool,
    /// Not to be tried again before this.
    pub(super) not_before: Option<Moment>,
}

/// What is to be run.
#[derive(Debug)]
pub(super) enum Body {
    Readable {
        writer: &'static dyn Writer,
        /// Of a writer that merges one for each sequence number until they are [folded](Group::fold), else the last alone.
        writes: Vec<Arguments>,
    },
    Unreadable {
        payload: Payload,
        why: String,
    },
}

impl Group {
    pub(super) fn new(
        key: Key,
        function: String,
        body: Body,
        sequence: u64,
        since: Moment,
    ) -> Self {
        Self {
            key,
            function,
            body,
            sequences: vec![sequence],
            since,
            attempts: 0,
            failures: 0,
            begun_through: None,
            is_alone: false,
            not_before: None,
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.sequences.last().copied().unwrap_or_default()
    }

    pub(super) fn first(&self) -> u64 {
        self.sequences.first().copied().unwrap_or_default()
    }

    pub(super) fn writer(&self) -> Option<&'static dyn Writer> {
        match &self.body {
            Body::Readable { writer, .. } => Some(*writer),
            Body::Unreadable { .. } => None,
        }
    }

    /// The writer in whose batches it can be run. One that has failed is run alone.
    pub(super) fn batch(&self) -> Option<&'static dyn Writer> {
        let writer = self.writer().filter(|writer| writer.has_batch());
        writer.filter(|_| self.attempts == 0)
    }

    /// What it runs with, once it is folded.
    pub(super) fn arguments(&self) -> Option<&Arguments> {
        match &self.body {
            Body::Readable { writes, .. } => writes.last(),
            Body::Unreadable { .. } => None,
        }
    }

    /// As the log is to note it when it runs next.
    pub(super) fn next_attempt(&self) -> Begun {
        Begun {
            key: self.key.clone(),
            through: self.last(),
            attempts: self.attempts.saturating_add(1),
        }
    }

    /// It runs now.
    pub(super) fn begin(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        self.not_before = None;
        if self.writer().is_some_and(Writer::merges) {
            self.begun_through = Some(self.last());
        }
    }

    pub(super) fn may_take(&self, writer: &dyn Writer, sequence: u64) -> bool {
        !self.is_alone
            && self.writer().is_some_and(|own| is_same(own, writer))
            && self.begun_through.is_none_or(|last| sequence <= last)
    }

    /// Makes later writes part of this one.
    pub(super) fn take(&mut self, later: Vec<Arguments>, sequences: impl IntoIterator<Item = u64>) {
        if let Body::Readable { writer, writes } = &mut self.body {
            if !writer.merges() {
                writes.clear();
            }
            writes.extend(later);
        }
        self.sequences.extend(sequences);
    }

    /// Makes one write of all. Where the user's `merge` panics they stay apart: the first is kept, and the others are groups of their own. Such a
    /// group has never run as one, in another process as little as here.
    pub(super) fn fold(&mut self) -> Vec<Self> {
        let Body::Readable { writer, writes } = &mut self.body else {
            return Vec::new();
        };
        let Some((first, later)) = writes.split_first() else {
            return Vec::new();
        };
        if later.is_empty() {
            return Vec::new();
        }
        let writer = *writer;
        let folded = guarded(|| {
            let copy = |arguments| writer.copy(arguments);
            later
                .iter()
                .map(copy)
                .fold(copy(first), |mut whole, later| {
                    writer.fold(&mut whole, later);
                    whole
                })
        });
        if let Ok(whole) = folded {
            *writes = vec![whole];
            return Vec::new();
        }
        let apart = writes.split_off(1);
        let sequences = self.sequences.split_off(1);
        self.is_alone = true;
        self.begun_through = None;
        let group = |(arguments, sequence)| {
            let writes = vec![arguments];
            let body = Body::Readable { writer, writes };
            let mut group = Self::new(
                self.key.clone(),
                self.function.clone(),
                body,
                sequence,
                self.since,
            );
            group.is_alone = true;
            group
        };
        apart.into_iter().zip(sequences).map(group).collect()
    }

    pub(super) fn is_paused(&self, now: Moment) -> bool {
        self.not_before.is_some_and(|moment| moment > now)
    }

    /// When it is to run whatever else there is; `None` for at once.
    pub(super) fn due_at(&self) -> Option<Moment> {
        let writer = self.writer()?;
        if self.failures > 0 || self.attempts > 0 {
            return None;
        }
        Some(self.since.after(writer.spec().write_queueing().flush()))
    }
}
