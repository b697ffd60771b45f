//! Reads and loads of many keys at once, each by its own backend. As those of one key in all else.

use std::sync::Arc;
use std::time::Duration;

use super::leases::Known;
use super::sides::{Side, Sides};
use crate::backend::{Ask, Fill, HeldLease, Lease, Stored};
use crate::error::BackendError;
use crate::key::Key;
use crate::race;

impl Sides {
    pub(super) async fn get_many(
        self: &Arc<Self>,
        keys: &[Key],
        tags: &[Key],
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
            let asked = self.ask_new(|new| new.get_many(&wanted, tags));
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
            for (&at, value) in rest
                .iter()
                .zip(self.old.get_many(&pick(&rest), tags).await?)
            {
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
        let noted = asks
            .iter()
            .try_for_each(|ask| self.note_mode(&ask.key, ask.token, ttl, ask.mode));
        let answers = match noted {
            Ok(()) => self.lease_many_at_either(asks, ttl).await,
            Err(error) => Err(error),
        };
        for (at, ask) in asks.iter().enumerate() {
            let granted = |answers: &Vec<_>| matches!(answers.get(at), Some(Lease::Granted(_)));
            if answers.as_ref().is_ok_and(granted) {
                self.leases.granted(ask.token);
            } else {
                self.leases.over(ask.token);
            }
        }
        answers
    }

    async fn lease_many_at_either(
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
                    let asked = wanted.iter().zip(leases);
                    let told = asked
                        .map(|(ask, lease)| Box::pin(self.as_of_old(lease, ask.tags.as_slice())));
                    for (at, lease) in moved.drain(..).zip(race::all(told.collect()).await) {
                        answers[at] = Some(lease?);
                    }
                }
                _ => {
                    let held: Vec<_> = wanted.iter().map(|it| (it.key.clone(), it.token)).collect();
                    let _ = self.ask_new(|new| new.release_many(&held)).await;
                    for (key, token) in held {
                        self.leases
                            .note(&key, token, ttl, |known| known.only_old = true)?;
                    }
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
        let known: Vec<Known> = fills
            .iter()
            .map(|fill| self.leases.of(fill.token))
            .collect();
        let (moved, rest): (Vec<usize>, Vec<usize>) = (0..fills.len())
            .partition(|&at| !known[at].only_old && self.moved(&fills[at].key).is_some());
        let mut sides = vec![None; fills.len()];
        self.fill_many_each(&fills, &moved, &rest, &mut sides)
            .await?;
        // As with one: what is refused there may stand here.
        let refused = |places: Vec<usize>| -> Vec<usize> {
            places
                .into_iter()
                .filter(|&at| sides[at].is_none() && !known[at].only_old)
                .collect()
        };
        let (moved, rest) = (refused(moved), refused(rest));
        self.fill_many_each(&fills, &rest, &moved, &mut sides)
            .await?;
        for side in [Side::New, Side::Old] {
            let replaced = |&at: &usize| known[at].replaces && sides[at] == Some(side);
            let replaced = (0..fills.len()).filter(replaced);
            let keys: Vec<Key> = replaced.map(|at| fills[at].key.clone()).collect();
            self.replaced_at(Some(side), &keys).await?;
        }
        for fill in &fills {
            self.leases.over(fill.token);
        }
        Ok(sides.into_iter().map(|side| side.is_some()).collect())
    }

    /// Stores those of the one list at the new backend and those of the other at the old one, and notes where it was done.
    async fn fill_many_each(
        self: &Arc<Self>,
        fills: &[Fill],
        new: &[usize],
        old: &[usize],
        sides: &mut [Option<Side>],
    ) -> Result<(), BackendError> {
        let at_new = self.fill_many_at_new(fills, new);
        let (at_new, at_old) = race::both(at_new, self.fill_many_at_old(fills, old)).await;
        for at in at_new {
            sides[at] = Some(Side::New);
        }
        for at in at_old? {
            sides[at] = Some(Side::Old);
        }
        Ok(())
    }

    /// Stores those of these places, and tells of which it was done.
    async fn fill_many_at_new(self: &Arc<Self>, fills: &[Fill], places: &[usize]) -> Vec<usize> {
        let translated = |&at: &usize| {
            let fill = fills[at].clone();
            let value = self.clocks.for_new(fill.value)?;
            Some((at, Fill { value, ..fill }))
        };
        let (places, wanted): (Vec<_>, Vec<_>) = places.iter().filter_map(translated).unzip();
        if wanted.is_empty() || self.route.permit().is_none() {
            return Vec::new();
        }
        let answers = self.ask_new(|new| new.fill_many(wanted)).await;
        stored_of(places, answers.unwrap_or_default())
    }

    async fn fill_many_at_old(
        &self,
        fills: &[Fill],
        places: &[usize],
    ) -> Result<Vec<usize>, BackendError> {
        let wanted: Vec<Fill> = places.iter().map(|&at| fills[at].clone()).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        Ok(stored_of(
            places.to_vec(),
            self.old.fill_many(wanted).await?,
        ))
    }

    pub(super) async fn renew_many(
        self: &Arc<Self>,
        held: &[HeldLease],
        ttl: Duration,
    ) -> Result<Vec<bool>, BackendError> {
        for (_, token) in held {
            self.leases.renewed(*token, ttl);
        }
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
        for ((stands, at_new), (_, token)) in stand.iter_mut().zip(at_new).zip(held) {
            *stands |= at_new && !self.leases.of(*token).only_old;
        }
        Ok(stand)
    }

    pub(super) async fn release_many(
        self: &Arc<Self>,
        held: &[HeldLease],
    ) -> Result<(), BackendError> {
        for (_, token) in held {
            self.leases.over(*token);
        }
        let at_new = async {
            if self.route.permit().is_some() {
                let _ = self.ask_new(|new| new.release_many(held)).await;
            }
        };
        race::both(self.old.release_many(held), at_new).await.0
    }
}

/// The places of what was stored.
fn stored_of(places: Vec<usize>, answers: Vec<bool>) -> Vec<usize> {
    let answered = places.into_iter().zip(answers);
    answered
        .filter(|(_, stored)| *stored)
        .map(|(at, _)| at)
        .collect()
}
