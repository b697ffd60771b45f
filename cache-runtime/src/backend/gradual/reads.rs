//! Reads and loads: by the key's backend, and by the old one wherever the new one does not answer or may not be used.
//!
//! What the new backend says counts only if the permit still stands when it has said it, and is the one that was known before it was asked. So
//! the permit stood all the while, and the new backend had been told everything that was over before.

use std::sync::Arc;
use std::time::Duration;

use super::permit::{self, Permit};
use super::sides::Sides;
use crate::backend::{Ask, Backend, Fill, HeldLease, Lease, LeaseMode, Stored, Token};
use crate::error::BackendError;
use crate::key::Key;
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

    pub(super) async fn get(self: &Arc<Self>, key: &Key) -> Result<Option<Stored>, BackendError> {
        if let Some(number) = self.moved(key) {
            let asked = self.ask_new(|new| new.get(key));
            if let (Ok(found), true) = self.trusted(number, asked).await? {
                self.of_new.read(found.is_some());
                return Ok(found);
            }
        }
        let found = self.old.get(key).await?;
        self.of_old.read(found.is_some());
        Ok(found)
    }

    /// The answer of the new backend, and whether it may be used.
    async fn trusted<T>(
        &self,
        number: u64,
        asked: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<(Result<T, BackendError>, bool), BackendError> {
        let (answer, stands) = race::both(asked, self.stands(number)).await;
        Ok((answer, stands?))
    }

    pub(super) async fn lease(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
        mode: LeaseMode,
    ) -> Result<Lease, BackendError> {
        if let Some(number) = self.moved(key) {
            let asked = self.ask_new(|new| new.lease(key, token, ttl, mode));
            match self.trusted(number, asked).await? {
                (Ok(lease), true) => return Ok(lease),
                // Nobody is to wait for a load that does not come.
                (Ok(Lease::Granted), false) => {
                    let _ = self.ask_new(|new| new.release(key, token)).await;
                }
                _ => {}
            }
        }
        self.old.lease(key, token, ttl, mode).await
    }

    /// Stores where the lease was granted. That is not told by the token, and the share may have changed since: a lease that does not stand at the
    /// one backend stands at the other, or nowhere.
    pub(super) async fn fill(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        value: Stored,
        keep: Duration,
    ) -> Result<bool, BackendError> {
        if self.moved(key).is_none() {
            return Ok(self.old.fill(key, token, value.clone(), keep).await?
                || self.fill_new(key, token, value, keep).await);
        }
        Ok(self.fill_new(key, token, value.clone(), keep).await
            || self.old.fill(key, token, value, keep).await?)
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
        let filled = self.ask_new(|new| new.fill(key, token, value, keep)).await;
        filled.unwrap_or(false)
    }

    pub(super) async fn renew(
        self: &Arc<Self>,
        key: &Key,
        token: Token,
        ttl: Duration,
    ) -> Result<bool, BackendError> {
        let at_new = async {
            let open = self.route.permit().is_some();
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

    pub(super) async fn get_many(
        self: &Arc<Self>,
        keys: &[Key],
    ) -> Result<Vec<Option<Stored>>, BackendError> {
        let (mut moved, mut rest, mut permit) = (Vec::new(), Vec::new(), None);
        for (at, key) in keys.iter().enumerate() {
            match self.moved(key) {
                Some(number) if *permit.get_or_insert(number) == number => moved.push(at),
                _ => rest.push(at),
            }
        }
        let mut found = vec![None; keys.len()];
        let pick =
            |places: &[usize]| -> Vec<Key> { places.iter().map(|&at| keys[at].clone()).collect() };
        if let Some(number) = permit {
            let wanted = pick(&moved);
            let asked = self.ask_new(|new| new.get_many(&wanted));
            match self.trusted(number, asked).await? {
                (Ok(values), true) => {
                    for (at, value) in moved.drain(..).zip(values) {
                        self.of_new.read(value.is_some());
                        found[at] = value;
                    }
                }
                _ => rest.append(&mut moved),
            }
        }
        if !rest.is_empty() {
            for (&at, value) in rest.iter().zip(self.old.get_many(&pick(&rest)).await?) {
                self.of_old.read(value.is_some());
                found[at] = value;
            }
        }
        Ok(found)
    }

    pub(super) async fn lease_many(
        self: &Arc<Self>,
        asks: &[Ask],
        ttl: Duration,
    ) -> Result<Vec<Lease>, BackendError> {
        let (mut moved, mut rest, mut permit) = (Vec::new(), Vec::new(), None);
        for (at, ask) in asks.iter().enumerate() {
            match self.moved(&ask.key) {
                Some(number) if *permit.get_or_insert(number) == number => moved.push(at),
                _ => rest.push(at),
            }
        }
        let pick =
            |places: &[usize]| -> Vec<Ask> { places.iter().map(|&at| asks[at].clone()).collect() };
        let mut answers = vec![None; asks.len()];
        if let Some(number) = permit {
            let wanted = pick(&moved);
            let asked = self.ask_new(|new| new.lease_many(&wanted, ttl));
            match self.trusted(number, asked).await? {
                (Ok(leases), true) => {
                    for (at, lease) in moved.drain(..).zip(leases) {
                        answers[at] = Some(lease);
                    }
                }
                _ => {
                    let held: Vec<_> = wanted.iter().map(|it| (it.key.clone(), it.token)).collect();
                    let _ = self.ask_new(|new| new.release_many(&held)).await;
                    rest.append(&mut moved);
                }
            }
        }
        if !rest.is_empty() {
            let leases = self.old.lease_many(&pick(&rest), ttl).await?;
            for (&at, lease) in rest.iter().zip(leases) {
                answers[at] = Some(lease);
            }
        }
        // Every place is in one of the two lists, and a backend answers all that it is asked.
        let lacking = || {
            let detail = "a backend answered fewer questions than it was asked";
            BackendError::new(crate::error::BackendErrorKind::Rejected, detail)
        };
        answers
            .into_iter()
            .map(|answer| answer.ok_or_else(lacking))
            .collect()
    }

    pub(super) async fn fill_many(
        self: &Arc<Self>,
        fills: Vec<Fill>,
    ) -> Result<Vec<bool>, BackendError> {
        let mut stored = vec![false; fills.len()];
        let (moved, rest): (Vec<usize>, Vec<usize>) =
            (0..fills.len()).partition(|&at| self.moved(&fills[at].key).is_some());
        let pick = |places: &[usize]| -> Vec<Fill> {
            places.iter().map(|&at| fills[at].clone()).collect()
        };
        let at_new = async |places: Vec<usize>| {
            if places.is_empty() || self.route.permit().is_none() {
                return Vec::new();
            }
            let answers = self.ask_new(|new| new.fill_many(pick(&places))).await;
            places
                .into_iter()
                .zip(answers.unwrap_or_default())
                .collect()
        };
        let (at_first_new, at_first_old) = race::both(
            at_new(moved.clone()),
            self.fill_old(rest.clone(), pick(&rest)),
        )
        .await;
        for (at, answer) in at_first_new.into_iter().chain(at_first_old?) {
            stored[at] = answer;
        }
        // As with one: what is refused there may stand here.
        let refused = |places: Vec<usize>| -> Vec<usize> {
            places.into_iter().filter(|&at| !stored[at]).collect()
        };
        let (moved, rest) = (refused(moved), refused(rest));
        let again = race::both(at_new(rest), self.fill_old(moved.clone(), pick(&moved))).await;
        for (at, answer) in again.0.into_iter().chain(again.1?) {
            stored[at] = answer;
        }
        Ok(stored)
    }

    async fn fill_old(
        &self,
        places: Vec<usize>,
        fills: Vec<Fill>,
    ) -> Result<Vec<(usize, bool)>, BackendError> {
        if fills.is_empty() {
            return Ok(Vec::new());
        }
        Ok(places
            .into_iter()
            .zip(self.old.fill_many(fills).await?)
            .collect())
    }

    pub(super) async fn renew_many(
        self: &Arc<Self>,
        held: &[HeldLease],
        ttl: Duration,
    ) -> Result<Vec<bool>, BackendError> {
        let at_new = async {
            if self.route.permit().is_none() {
                return Vec::new();
            }
            self.ask_new(|new| new.renew_many(held, ttl))
                .await
                .unwrap_or_default()
        };
        let (at_old, at_new) = race::both(self.old.renew_many(held, ttl), at_new).await;
        let mut stand = at_old?;
        for (stands, at_new) in stand.iter_mut().zip(at_new) {
            *stands |= at_new;
        }
        Ok(stand)
    }

    pub(super) async fn release_many(
        self: &Arc<Self>,
        held: &[HeldLease],
    ) -> Result<(), BackendError> {
        let at_new = async {
            if self.route.permit().is_some() {
                let _ = self.ask_new(|new| new.release_many(held)).await;
            }
        };
        race::both(self.old.release_many(held), at_new).await.0
    }
}
