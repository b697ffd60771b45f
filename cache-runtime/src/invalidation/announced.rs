//! Writes that the backend is told of before their body runs.
// What becomes of them in any order of their steps is checked in a model: `tests/model/src/writing.rs`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::keys::Keys;
use super::owed::report;
use super::transaction::Transaction;
use crate::backend::{Stored, TagVersion, Token, WriteEnd};
use crate::cache::{Cache, Inner};
use crate::error::BackendError;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::race;

/// A write of one key that has been announced.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(super) cache: Cache,
    pub(super) key: Key,
    token: Token,
}

impl Intent {
    async fn begin(&self) -> Result<TagVersion, BackendError> {
        let inner = &self.cache.inner;
        let ttl = inner.settings.intent_ttl;
        // With a time of its own: a healthy backend needs longer for many keys than for one.
        let mut budget = inner.guarded.budget();
        let begun = inner
            .guarded
            .begin_write(&self.key, self.token, ttl, &mut budget);
        begun.await
    }

    /// If this fails the intent may expire beside its body; the end of the write finds that out.
    pub(super) async fn renew(&self) {
        let inner = &self.cache.inner;
        let ttl = inner.settings.intent_ttl;
        let _ = inner.guarded.renew_write(&self.key, self.token, ttl).await;
    }

    /// Ends the write. Where that cannot be told to the backend an invalidation is delivered or kept, and the intent expires by itself.
    ///
    /// An end that was lost may yet be carried out, even after the invalidation, if it waits in a connection that has been given up. If
    /// it comes first, the invalidation removes what it stored. If it comes later, it finds that the invalidation has marked the write
    /// as overlapping, and stores nothing.
    async fn end(&self, value: Option<(Stored, Duration)>) -> Result<WriteEnd, BackendError> {
        let inner = &self.cache.inner;
        let key = std::slice::from_ref(&self.key);
        inner.epochs.advance(key);
        inner.tell_regions_of(key);
        let ended = inner.guarded.end_write(&self.key, self.token, value).await;
        if ended.is_err() && !mutants::on(Mutant::LostEndNotInvalidated) {
            report(inner.invalidate(&Keys::from_iter([self.key.clone()])).await);
        }
        ended
    }
}

/// Ends writes that leave no value.
pub(super) async fn end(intents: &[Intent]) {
    for intent in intents {
        // A failure has been reported, and its invalidation kept.
        let _ = intent.end(None).await;
    }
}

/// Renews intents for as long as it is polled.
async fn renew(intents: &[Intent]) {
    let Some(first) = intents.first() else { return };
    let settings = &first.cache.inner.settings;
    loop {
        first.cache.inner.clock.sleep(settings.intent_ttl / 3).await;
        if mutants::on(Mutant::IntentNotRenewed) {
            continue;
        }
        for intent in intents {
            intent.renew().await;
        }
    }
}

/// A write with an intent for each of its keys.
///
/// Dropped while its body runs, as by a panic or a cancelled call, its values go and its intents stay until they expire: the
/// commit may still come, and until then readers bypass the cache.
#[derive(Debug)]
pub(crate) struct Announced {
    cache: Cache,
    intents: Vec<Intent>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The body has not begun and may never do so.
    Announcing,
    Running,
    Ended,
}

impl Announced {
    pub(crate) fn new(cache: &Cache) -> Self {
        Self {
            cache: cache.clone(),
            intents: Vec::new(),
            stage: Stage::Announcing,
        }
    }

    /// Tells the backend of the write, and stops at the first key that it cannot be told of. Answers what the clock of the tags said before the first of
    /// them; `None` where there are no keys.
    pub(crate) async fn announce(
        &mut self,
        keys: &[Key],
    ) -> Result<Option<TagVersion>, BackendError> {
        let mut since = None;
        self.cache.inner.epochs.advance(keys);
        self.intents.reserve_exact(keys.len());
        for key in keys {
            let intent = Intent {
                cache: self.cache.clone(),
                key: key.clone(),
                token: Token::fresh(),
            };
            // Before it is asked for: one that arrives late has to be ended too.
            self.intents.push(intent.clone());
            let now = intent.begin().await?;
            since = since.or(Some(now));
        }
        Ok(since)
    }

    /// Runs the body while the intents are renewed.
    pub(crate) async fn run<F: Future>(&mut self, body: F) -> F::Output {
        self.stage = Stage::Running;
        race::beside(body, renew(&self.intents)).await
    }

    /// Ends the write without a value, or leaves that to the transaction whose commit is yet to come.
    pub(crate) async fn end(mut self, transaction: Option<&Transaction>) {
        // Handed over after the body, which has renewed them until now; a transaction that has ended by then takes nothing.
        if !transaction.is_some_and(|transaction| transaction.hold(&self.intents)) {
            end(&self.intents).await;
        }
        self.stage = Stage::Ended;
    }

    /// Ends the write of one key. Of several writes that overlap none leaves its value: nobody knows whose is the last.
    pub(crate) async fn end_with(
        mut self,
        value: Option<(Stored, Duration)>,
    ) -> Result<WriteEnd, BackendError> {
        let ended = match self.intents.first() {
            Some(intent) => intent.end(value).await,
            None => Ok(WriteEnd::Overlapped),
        };
        self.stage = Stage::Ended;
        ended
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let intents = std::mem::take(&mut self.intents);
        match self.stage {
            Stage::Ended => {}
            // They would expire by themselves, one that arrives late too; ending them sooner is a kindness to the readers.
            Stage::Announcing if intents.is_empty() => {}
            Stage::Announcing => Inner::detached(async move { end(&intents).await }),
            Stage::Running if mutants::on(Mutant::DroppedWriteEndsIntent) => {
                Inner::detached(async move { end(&intents).await });
            }
            Stage::Running => {
                let inner = Arc::clone(&self.cache.inner);
                let keys: Keys = intents.into_iter().map(|intent| intent.key).collect();
                Inner::detached(async move { report(inner.invalidate(&keys).await) });
            }
        }
    }
}
