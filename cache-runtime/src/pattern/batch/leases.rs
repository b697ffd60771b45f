//! The leases of one batch, held together.

use std::collections::HashSet;

use crate::backend::{HeldLease, Token};
use crate::cache::{Cache, Inner};

/// Leases that are held, or may be. Dropped without another word, as by a panic or a cancelled call, they are released in the background,
/// all at once: one by one those of a large batch would be a storm.
#[derive(Debug)]
pub(super) struct Leases {
    cache: Cache,
    held: Vec<HeldLease>,
}

impl Leases {
    pub(super) fn new(cache: &Cache, held: Vec<HeldLease>) -> Self {
        Self {
            cache: cache.clone(),
            held,
        }
    }

    pub(super) fn all(&self) -> &[HeldLease] {
        &self.held
    }

    /// The others have ended, or were never granted.
    pub(super) fn retain(&mut self, tokens: &HashSet<Token>) {
        self.held.retain(|(_, token)| tokens.contains(token));
    }

    /// None is left.
    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    /// Gives back what is left. Where that cannot be told it is tried once more in the background.
    pub(super) async fn release(mut self) {
        if self.held.is_empty() {
            return;
        }
        let guarded = &self.cache.inner.guarded;
        if guarded.release_many(&self.held).await.is_ok() {
            self.held.clear();
        }
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let (cache, held) = (self.cache.clone(), std::mem::take(&mut self.held));
        Inner::detached(async move {
            // If this fails too, the leases end by their expiry.
            let _ = cache.inner.guarded.release_many(&held).await;
        });
    }
}
