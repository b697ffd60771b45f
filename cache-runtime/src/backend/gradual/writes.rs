//! Writes: both backends are told of each, whatever the key's share. The value goes to the key's own, and what the other has is removed.
//!
//! The old backend has seen every write, the new one only those since it was begun with. So where one of them is to decide, by an overlap or a
//! version, it is the old one, and the new one is asked after it.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::clocks;
use super::permit::{self, Permit};
use super::sides::Sides;
use crate::backend::{Backend, Lease, LeaseMode, Stored, TagVersion, Token, Versions, WriteEnd};
use crate::error::BackendError;
use crate::key::Key;
use crate::race;

/// A namespace is bumped in less time than this, or the roll-out ends by it.
const HELD: Duration = Duration::from_secs(10);

/// An intent ends at the old backend first, which says whether it stands: at the new one it lives longer, by more than the two can be apart.
const OUTLIVES: Duration = Duration::from_millis(200);

impl Sides {
    pub(super) async fn invalidate(self: &Arc<Self>, keys: &[Key]) -> Result<(), BackendError> {
        self.tell_both(|side| side.invalidate(keys)).await
    }

    pub(super) async fn put(
        self: &Arc<Self>,
        key: &Key,
        value: Stored,
        keep: Duration,
    ) -> Result<bool, BackendError> {
        let ended = self.leases.ended_by_put(key);
        let stored = self.put_at_both(key, value, keep).await?;
        for token in ended {
            self.leases.over(token);
        }
        Ok(stored)
    }

    async fn put_at_both(
        self: &Arc<Self>,
        key: &Key,
        value: Stored,
        keep: Duration,
    ) -> Result<bool, BackendError> {
        let gone = slice::from_ref(key);
        if self.moved(key).is_none() {
            let removed = self.tell_new(|new| new.invalidate(gone));
            let (stored, removed) = race::both(self.old.put(key, value, keep), removed).await;
            removed?;
            return stored;
        }
        let Some(value) = self.clocks.for_new(value) else {
            self.invalidate(gone).await?;
            return Ok(false);
        };
        // The old backend takes a tag that it has never heard of for one that was invalidated a moment ago.
        let tags = clocks::tags_of(&value);
        let at_old = async {
            if !tags.is_empty() {
                self.old.versions(tags.as_slice()).await?;
            }
            self.old.invalidate(gone).await
        };
        let stored = self.tell_new(|new| new.put(key, value, keep));
        let (removed, stored) = race::both(at_old, stored).await;
        removed?;
        Ok(stored?.unwrap_or(false))
    }

    pub(super) async fn begin_write(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
    ) -> Result<TagVersion, BackendError> {
        let before = self.new_now(self.moved(key).is_some()).await;
        let longer = ttl.saturating_add(OUTLIVES);
        let at_new = self.tell_new(|new| new.begin_write(key, token, longer));
        let (began, told) = race::both(self.old.begin_write(key, token, ttl), at_new).await;
        told?;
        let began = began?;
        self.note_moment(before, began);
        Ok(began)
    }

    /// What the clock of the new backend says, for a value that may be stored there.
    async fn new_now(self: &Arc<Self>, wanted: bool) -> Option<TagVersion> {
        if !wanted {
            return None;
        }
        let versions = self.ask_new(|new| new.versions(&[])).await;
        versions.ok().map(|versions| versions.now)
    }

    /// Before the old clock said this, the new one said that.
    fn note_moment(&self, new: Option<TagVersion>, old: TagVersion) {
        if let Some(new) = new {
            self.clocks.note(new, old);
        }
    }

    /// The answer is the old backend's. Nobody knows yet what key will be written.
    pub(super) async fn versions(self: &Arc<Self>, tags: &[Key]) -> Result<Versions, BackendError> {
        let before = self.new_now(self.route.share() > 0.0).await;
        let versions = self.old.versions(tags).await?;
        self.note_moment(before, versions.now);
        Ok(versions)
    }

    pub(super) async fn invalidate_tags(
        self: &Arc<Self>,
        tags: &[Key],
    ) -> Result<(), BackendError> {
        self.tell_both(|side| side.invalidate_tags(tags)).await
    }

    /// The permit is an entry of the namespace. It stands for as long as nobody has taken it away, so it is given anew under a lease that was
    /// asked for while it stood.
    pub(super) async fn bump_namespace(self: &Arc<Self>) -> Result<(), BackendError> {
        let held = self.hold_permit().await?;
        self.tell_both(|side| side.bump_namespace()).await?;
        if let Some((permit, token)) = held {
            let stored = permit.store(self.old.format());
            if !self
                .old
                .fill(permit::key(), token, stored, permit::KEPT)
                .await?
            {
                self.route.end();
            }
        }
        Ok(())
    }

    /// The permit, if it stands, and a lease of its entry.
    async fn hold_permit(&self) -> Result<Option<(Permit, Token)>, BackendError> {
        let Some(found) = self.old.get(permit::key()).await? else {
            return Ok(None);
        };
        let (mode, token) = (LeaseMode::IfStill(found.mark()), Token::fresh());
        let lease = self
            .old
            .lease(permit::key(), &[], token, HELD, mode)
            .await?;
        let granted = matches!(lease, Lease::Granted(_));
        Ok(Permit::read(&found)
            .filter(|_| granted)
            .map(|permit| (permit, token)))
    }

    pub(super) async fn renew_write(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
    ) -> Result<bool, BackendError> {
        let longer = ttl.saturating_add(OUTLIVES);
        let ask_new = || self.ask_new(|new| new.renew_write(key, token, longer));
        // One late answer is no reason to have every key of every process go back: there is time for another question.
        let at_new = async {
            match ask_new().await {
                Err(_) => ask_new().await,
                answer => answer,
            }
        };
        let (stands, at_new) = race::both(self.old.renew_write(key, token, ttl), at_new).await;
        let stands = stands?;
        match (stands, at_new.unwrap_or(false)) {
            // It began while the new backend could not be told. Readers there would not bypass what they have.
            (true, false) => {
                if self.route.permit().is_some() {
                    let why = "the new backend did not renew the announcement of a write";
                    self.end(why.to_owned());
                }
                self.withdraw().await?;
            }
            (false, true) => {
                self.tell_new(|new| new.end_write(key, token, None)).await?;
            }
            _ => {}
        }
        Ok(stands)
    }

    pub(super) async fn end_write(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        value: Option<(Stored, Duration)>,
    ) -> Result<WriteEnd, BackendError> {
        if self.moved(key).is_none() || value.is_none() {
            let at_new = self.tell_new(|new| new.end_write(key, token, None));
            let (end, told) = race::both(self.old.end_write(key, token, value), at_new).await;
            told?;
            return end;
        }
        let end = self.old.end_write(key, token, None).await?;
        let value = value.filter(|_| end == WriteEnd::Clean);
        let value = value.and_then(|(value, keep)| Some((self.clocks.for_new(value)?, keep)));
        let has_value = value.is_some();
        let end = self
            .tell_new(|new| new.end_write(key, token, value))
            .await?;
        Ok(end.filter(|_| has_value).unwrap_or(WriteEnd::Overlapped))
    }

    pub(super) async fn put_if_newer(
        self: &Arc<Self>,
        key: &Key,
        version: u64,
        value: Stored,
        keep: Duration,
    ) -> Result<bool, BackendError> {
        // For no time at all: what is there goes, if it is older, and the fence is raised.
        let nothing = Duration::ZERO;
        if self.moved(key).is_none() {
            let raised = value.clone();
            let at_new = self.tell_new(|new| new.put_if_newer(key, version, raised, nothing));
            let at_old = self.old.put_if_newer(key, version, value, keep);
            let (stored, told) = race::both(at_old, at_new).await;
            told?;
            return stored;
        }
        let at_old = self.old.put_if_newer(key, version, value.clone(), nothing);
        let newer = at_old.await?;
        let translated = self.clocks.for_new(value.clone());
        let keep = if newer && translated.is_some() {
            keep
        } else {
            nothing
        };
        let value = translated.unwrap_or(value);
        let at_new = self.tell_new(|new| new.put_if_newer(key, version, value, keep));
        let stored = at_new.await?.is_some_and(|stored| stored);
        Ok(stored && keep > nothing)
    }

    /// Ends the roll-out too: the permit is one of the entries that go, and the new backend is emptied before it is used again.
    pub(super) async fn clear(self: &Arc<Self>) -> Result<(), BackendError> {
        self.route.end();
        self.old.clear().await
    }

    /// Whether the cache can be used is for the old backend to say: without the new one it is used as before.
    pub(super) async fn ping(&self) -> Result<(), BackendError> {
        Backend::ping(&*self.old).await
    }
}
