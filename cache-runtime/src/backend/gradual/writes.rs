//! Writes: both backends are told of each, whatever the key's share. The value goes to the key's own, and what the other has is removed.
//!
//! The old backend has seen every write, the new one only those since it was begun with. So where one of them is to decide, by an overlap or a
//! version, it is the old one, and the new one is asked after it.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::sides::Sides;
use crate::backend::{Backend, Stored, Token, WriteEnd};
use crate::error::BackendError;
use crate::key::Key;
use crate::race;

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
        let gone = slice::from_ref(key);
        if self.moved(key).is_none() {
            let removed = self.tell_new(|new| new.invalidate(gone));
            let (stored, removed) = race::both(self.old.put(key, value, keep), removed).await;
            removed?;
            return stored;
        }
        let stored = self.tell_new(|new| new.put(key, value, keep));
        let (removed, stored) = race::both(self.old.invalidate(gone), stored).await;
        removed?;
        Ok(stored?.unwrap_or(false))
    }

    pub(super) async fn begin_write(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
    ) -> Result<(), BackendError> {
        self.tell_both(|side| side.begin_write(key, token, ttl))
            .await
    }

    pub(super) async fn renew_write(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
    ) -> Result<bool, BackendError> {
        let at_new = async {
            // A write that the new backend does not know of began while it could not be told. Readers there would not bypass what they have.
            match self.ask_new(|new| new.renew_write(key, token, ttl)).await {
                Ok(true) => Ok(()),
                Ok(false) | Err(_) => self.withdraw().await,
            }
        };
        let (stands, told) = race::both(self.old.renew_write(key, token, ttl), at_new).await;
        told?;
        stands
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
        let end = self
            .tell_new(|new| new.end_write(key, token, value))
            .await?;
        Ok(end.unwrap_or(WriteEnd::Overlapped))
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
        let keep = if newer { keep } else { nothing };
        let at_new = self.tell_new(|new| new.put_if_newer(key, version, value, keep));
        Ok(at_new.await?.is_some_and(|stored| stored && newer))
    }

    /// Ends the roll-out too: the permit is one of the entries that go, and the new backend is emptied before it is used again.
    pub(super) async fn clear(self: &Arc<Self>) -> Result<(), BackendError> {
        self.route.close();
        self.old.clear().await
    }

    /// Whether the cache can be used is for the old backend to say: without the new one it is used as before.
    pub(super) async fn ping(&self) -> Result<(), BackendError> {
        Backend::ping(&*self.old).await
    }
}
