//! What becomes of runs that have ended: the log is told of those that are over, and the others are tried again or given up.

use std::time::Duration;

use tokio::task::JoinError;

use super::group::{Body, Group};
use super::health::pause;
use super::partition::{AGAIN, Lost, Owner};
use super::run::Ended;
use crate::backend::log::{Burial, Done, Payload};
use crate::error::BackendError;
use crate::mutants::{self, Mutant};
use crate::pattern::write_behind::writer::{Keeper, guarded};

impl Owner {
    pub(super) fn ended(&mut self, ended: Result<Ended, JoinError>) {
        // What can panic is caught inside. Should anything else, the next owner begins with what the log knows.
        let Ok(Ended { groups, result }) = ended else {
            self.is_broken = true;
            return;
        };
        match result {
            Ok(()) => self.succeeded(groups),
            Err(error) => self.failed(groups, &error),
        }
    }

    fn succeeded(&mut self, groups: Vec<Group>) {
        if let Some(writer) = groups.first().and_then(Group::writer)
            && self.shared.health.succeeded(writer)
        {
            // The owners of other partitions may wait for just this.
            self.shared.ring();
        }
        for group in groups {
            let done = self.done_of(group);
            self.done.push(done);
        }
    }

    fn done_of(&self, group: Group) -> Done {
        let tells_value = match (group.writer(), group.arguments(), self.cache.upgrade()) {
            (Some(writer), Some(arguments), Some(inner)) if writer.has_value() => {
                let spec = writer.spec();
                let keeper = Keeper {
                    inner: &inner,
                    spec,
                };
                guarded(|| writer.kept(arguments, keeper).is_some()).unwrap_or(false)
            }
            _ => false,
        };
        Done {
            key: group.key,
            function: group.function,
            sequences: group.sequences,
            invalidates: !tells_value,
        }
    }

    fn failed(&mut self, groups: Vec<Group>, error: &str) {
        let in_company = groups.len() > 1;
        let counts = groups.first().and_then(Group::writer).is_none_or(|writer| {
            let keys = groups.iter().map(|group| &group.key);
            let (now, options) = (self.clock.now(), &self.shared.options);
            self.shared.health.failed(writer, keys, now, options)
        });
        for mut group in groups {
            self.tally.failed += 1;
            self.shared.counts.failed();
            group.failures = group.failures.saturating_add(1);
            if !counts {
                group.attempts = group.attempts.saturating_sub(1);
            }
            let attempts = group.attempts;
            if attempts >= self.shared.options.attempts && !in_company {
                self.given_up.push_back((group, error.to_owned()));
                continue;
            }
            tracing::debug!(function = group.function, key = %group.key, attempts, error, "pending write failed");
            // One of them may be bad and the others good: at once, and each alone.
            let pause = if in_company {
                Duration::ZERO
            } else {
                self.pause_after(group.failures)
            };
            let again = self.clock.now().after(pause);
            self.queue.put_back(group, Some(again));
        }
    }

    fn pause_after(&self, failures: u32) -> Duration {
        let whole = pause(&self.shared.options, failures.saturating_sub(1));
        let share = self
            .cache
            .upgrade()
            .map_or(0.0, |inner| inner.random.share());
        whole.mul_f64(1.0 - share / 2.0)
    }

    /// Tells the log what is over and what is given up.
    pub(super) async fn tell(&mut self) -> Result<(), Lost> {
        if self.tell_at.is_some_and(|at| at > self.clock.now()) {
            return Ok(());
        }
        self.tell_at = None;
        if self.done.is_empty() && self.given_up.is_empty() {
            return Ok(());
        }
        if !self.shared.owns(&self.clock) {
            // After a pause of the whole process: the worker reports first, and finds out whether the partition is still its own. It rings then.
            return Ok(());
        }
        if !self.done.is_empty() {
            let (partition, member) = (self.partition, self.shared.member);
            let done = &self.done;
            match self
                .log
                .ask(|log| log.finish(partition, member, done))
                .await
            {
                Ok(true) => self.finished(),
                Ok(false) => return Err(Lost),
                Err(error) => {
                    self.tell_later("finish writes", &error);
                    return Ok(());
                }
            }
        }
        while let Some((group, error)) = self.given_up.pop_front() {
            let Some(burial) = self.burial(&group, &error) else {
                continue;
            };
            let (partition, member) = (self.partition, self.shared.member);
            match self
                .log
                .ask(|log| log.bury(partition, member, burial))
                .await
            {
                Ok(true) => self.buried(&group, &error),
                Ok(false) => return Err(Lost),
                Err(failure) => {
                    self.given_up.push_front((group, error));
                    self.tell_later("bury a write", &failure);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn tell_later(&mut self, what: &str, error: &BackendError) {
        self.complain(what, error);
        self.tell_at = Some(self.clock.now().after(AGAIN));
    }

    fn finished(&mut self) {
        for done in std::mem::take(&mut self.done) {
            let writes = done.sequences.len() as u64;
            self.tally.written += writes;
            self.shared.counts.written(writes);
            if let Some(inner) = self.cache.upgrade() {
                // Not when the write was logged: until now other regions could only have loaded the old row again.
                inner.tell_regions_of(std::slice::from_ref(&done.key));
                if done.invalidates {
                    inner.epochs.advance(std::slice::from_ref(&done.key));
                }
            }
            let last = done.sequences.last().copied().unwrap_or_default();
            self.queue.over(&done.key, last);
            self.shared.made_room(&done.function, done.sequences.len());
        }
    }

    fn buried(&mut self, group: &Group, error: &str) {
        let Group {
            key,
            function,
            attempts,
            ..
        } = group;
        tracing::error!(function, %key, attempts, error, "write given up: it is a dead letter now");
        let writes = group.sequences.len() as u64;
        self.tally.buried += writes;
        self.shared.counts.buried(writes);
        if let Some(inner) = self.cache.upgrade() {
            inner.epochs.advance(std::slice::from_ref(key));
            // An attempt that failed may have committed.
            inner.tell_regions_of(std::slice::from_ref(key));
        }
        if !mutants::on(Mutant::LetterHoldsKey) {
            self.queue.over(key, group.last());
        }
        self.shared.made_room(function, group.sequences.len());
    }

    /// `None` if its arguments cannot be written: then it stays pending.
    fn burial(&mut self, group: &Group, error: &str) -> Option<Burial> {
        let payload = match &group.body {
            Body::Unreadable { payload, .. } => payload.clone(),
            Body::Readable { writer, writes } => {
                let arguments = writes.last()?;
                let inner = self.cache.upgrade()?;
                let spec = writer.spec();
                let keeper = Keeper {
                    inner: &inner,
                    spec,
                };
                // They were written once before, or are folded from such: an empty letter is the last resort.
                guarded(|| writer.write(keeper, arguments).ok())
                    .ok()
                    .flatten()
                    .unwrap_or_else(|| Payload::Encoded(bytes::Bytes::new()))
            }
        };
        Some(Burial {
            done: Done {
                key: group.key.clone(),
                function: group.function.clone(),
                sequences: group.sequences.clone(),
                invalidates: true,
            },
            payload,
            error: error.to_owned(),
            attempts: group.attempts,
        })
    }
}
