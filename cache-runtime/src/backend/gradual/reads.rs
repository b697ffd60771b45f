//! Reads and loads: by the key's backend, and by the old one wherever the new one does not answer or may not be used.
//!
//! What the new backend says counts only if the permit still stands when it has said it, and is the one that was known before it was asked. So
//! the permit stood all the while, and the new backend had been told everything that was over before.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::leases::Known;
use super::permit::{self, Permit};
use super::sides::{Side, Sides};
use crate::backend::{Lease, LeaseMode, Stored, Token};
use crate::error::BackendError;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::race;

impl Sides {
    pub(super) fn get_now(&self, key: &Key) -> Option<Option<Stored>> {
        let Some(number) = self.moved(key) else {
            let found = self.old.get_now(key)?;
            self.of_old.read(found.is_some());
            return Some(found);
        };
        // Both are asked at one moment, or not here.
        let found = self.new.get_now(key)?;
        let permit = self.old.get_now(permit::key())?;
        let stands = permit.as_ref().and_then(Permit::read);
        stands.filter(|permit| permit.number == number)?;
        self.of_new.read(found.is_some());
        Some(found)
    }

    pub(super) async fn get(
        self: &Arc<Self>,
        key: &Key,
        tags: &[Key],
    ) -> Result<Option<Stored>, BackendError> {
        if let Some(number) = self.moved(key) {
            let asked = self.ask_new(|new| new.get_tagged(key, tags));
            if let (Ok(found), true) = self.trusted(number, asked).await? {
                self.of_new.read(found.is_some());
                return Ok(found);
            }
        }
        let found = self.old.get_tagged(key, tags).await?;
        self.of_old.read(found.is_some());
        Ok(found)
    }

    /// The answer of the new backend, and whether it may be used.
    pub(super) async fn trusted<T>(
        &self,
        number: u64,
        asked: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<(Result<T, BackendError>, bool), BackendError> {
        let (answer, stands) = race::both(asked, self.stands(number)).await;
        Ok((answer, stands? || mutants::on(Mutant::PermitIgnored)))
    }

    pub(super) async fn lease(
        self: &Arc<Self>,
        key: &Key,
        tags: &[Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> Result<Lease, BackendError> {
        self.note_mode(key, token, ttl, mode)?;
        let lease = self.lease_at_either(key, tags, token, ttl, mode).await;
        match lease {
            Ok(Lease::Granted(_)) => self.leases.granted(token),
            _ => self.leases.over(token),
        }
        lease
    }

    /// A value that is to take the place of another is the only one there may be, when it is stored.
    pub(super) fn note_mode(
        &self,
        key: &Key,
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> Result<(), BackendError> {
        if mode == LeaseMode::IfMissing {
            return Ok(());
        }
        self.leases
            .note(key, token, ttl, |known| known.replaces = true)
    }

    async fn lease_at_either(
        self: &Arc<Self>,
        key: &Key,
        tags: &[Key],
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> Result<Lease, BackendError> {
        if let Some(number) = self.moved(key) {
            let asked = self.ask_new(|new| new.lease(key, tags, token, ttl, mode));
            match self.trusted(number, asked).await? {
                (Ok(lease), true) => return self.as_of_old(lease, tags).await,
                // Nobody is to wait for a load that does not come.
                (Ok(Lease::Granted(_)), false) => {
                    let _ = self.ask_new(|new| new.release(key, token)).await;
                }
                _ => {}
            }
            // It may be granted there yet, when whatever it was to be ended by has passed.
            self.leases
                .note(key, token, ttl, |known| known.only_old = true)?;
        }
        self.old.lease(key, tags, token, ttl, mode).await
    }

    /// An answer of the new backend, with what the old one's clock says. It is asked after the new one, so that it knows of all that the new one knows of,
    /// and the two moments can be used for a translation.
    pub(super) async fn as_of_old(
        &self,
        lease: Lease,
        tags: &[Key],
    ) -> Result<Lease, BackendError> {
        let of_new = match &lease {
            Lease::Hit(_) => return Ok(lease),
            Lease::Granted(versions) | Lease::Busy(_, versions) | Lease::Bypass(_, versions) => {
                versions.now
            }
        };
        let versions = self.old.versions(tags).await?;
        self.clocks.note(of_new, versions.now);
        Ok(match lease {
            Lease::Hit(stored) => Lease::Hit(stored),
            Lease::Granted(_) => Lease::Granted(versions),
            Lease::Busy(token, _) => Lease::Busy(token, versions),
            Lease::Bypass(token, _) => Lease::Bypass(token, versions),
        })
    }

    /// Stores where the lease was granted. That is not told by the token, and the share may have changed since: a lease that does not stand at the
    /// one backend stands at the other, or nowhere. One that was handed on to the old backend counts there alone.
    pub(super) async fn fill(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> Result<bool, BackendError> {
        let known = self.leases.of(token);
        let gone = slice::from_ref(key);
        let side = self.fill_at_either(key, known, token, value, keep).await?;
        if known.replaces {
            self.replaced_at(side, gone).await?;
        }
        self.leases.over(token);
        Ok(side.is_some())
    }

    /// Tells where it was stored.
    async fn fill_at_either(
        self: &Arc<Self>,
        key: &Key,
        known: Known,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> Result<Option<Side>, BackendError> {
        let moved = self.moved(key).is_some() && !known.only_old;
        if moved && self.fill_new(key, token, value.clone(), keep).await {
            return Ok(Some(Side::New));
        }
        if self.old.fill(key, token, value.clone(), keep).await? {
            return Ok(Some(Side::Old));
        }
        let at_new = !moved && !known.only_old && self.fill_new(key, token, value, keep).await;
        Ok(at_new.then_some(Side::New))
    }

    /// What these keys have at the other backend is older than what was stored here in place of it: it would be read at another share, or when all keys
    /// go back.
    pub(super) async fn replaced_at(
        self: &Arc<Self>,
        side: Option<Side>,
        keys: &[Key],
    ) -> Result<(), BackendError> {
        match side.filter(|_| !keys.is_empty()) {
            None => Ok(()),
            Some(Side::New) => self.old.invalidate(keys).await,
            Some(Side::Old) => self.tell_new(|new| new.invalidate(keys)).await.map(drop),
        }
    }

    async fn fill_new(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> bool {
        if self.route.permit().is_none() {
            return false;
        }
        let Some(value) = self.clocks.for_new(value) else {
            return false;
        };
        let filled = self.ask_new(|new| new.fill(key, token, value, keep)).await;
        filled.unwrap_or(false)
    }

    pub(super) async fn renew(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
    ) -> Result<bool, BackendError> {
        self.leases.renewed(token, ttl);
        let only_old = self.leases.of(token).only_old;
        let at_new = async {
            let open = !only_old && self.route.permit().is_some();
            open && self
                .ask_new(|new| new.renew(key, token, ttl))
                .await
                .unwrap_or(false)
        };
        if self.moved(key).is_some() {
            return Ok(at_new.await || self.old.renew(key, token, ttl).await?);
        }
        Ok(self.old.renew(key, token, ttl).await? || at_new.await)
    }

    pub(super) async fn release(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
    ) -> Result<(), BackendError> {
        self.leases.over(token);
        let at_new = async {
            if self.route.permit().is_some() {
                // At worst it ends by its expiry.
                let _ = self.ask_new(|new| new.release(key, token)).await;
            }
        };
        let (released, ()) = race::both(self.old.release(key, token), at_new).await;
        released
    }

    pub(super) async fn wait(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        patience: Duration,
    ) -> Result<(), BackendError> {
        if self.moved(key).is_none() {
            return self.old.wait(key, token, patience).await;
        }
        // As long as the load takes. A new backend that fails ends the wait early, and the question that follows goes to the old one.
        match self.new.wait(key, token, patience).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.note(Some(&error));
                // One that cannot wait is not asked again and again.
                tokio::time::sleep(self.patience).await;
                Ok(())
            }
        }
    }
}
