//! What has to be known of some leases until their values are stored: the token does not tell it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::backend::Token;
use crate::error::{BackendError, BackendErrorKind};
use crate::key::Key;

/// So many are known at a time. Those of loads under way are far fewer; more are not given.
const MOST: usize = 1 << 16;
/// A lease that nobody fills, releases or renews is forgotten so long after its end, where room is needed. What the new backend was asked for under it
/// has come there by then, or does not come.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// What is known of a lease.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// It is the old backend's, though the new one was asked first and did not answer in time. It may be granted there yet, after an invalidation has
    /// passed: nothing is stored there under it.
    pub(super) only_old: bool,
    /// Its value takes the place of another, which the other backend may have too.
    pub(super) replaces: bool,
}

#[derive(Debug)]
struct Noted {
    key: Key,
    known: Known,
    granted: bool,
    until: Instant,
}

/// The leases of this process of which something is known.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    noted: HashMap<Token, Noted>,
    /// Those of each key, which are seldom more than one.
    of_key: HashMap<Key, Vec<Token>>,
}

impl Table {
    fn remove(&mut self, token: Token) {
        let Some(Noted { key, .. }) = self.noted.remove(&token) else {
            return;
        };
        if let Entry::Occupied(mut tokens) = self.of_key.entry(key) {
            tokens.get_mut().retain(|other| *other != token);
            if tokens.get().is_empty() {
                tokens.remove();
            }
        }
    }

    fn remove_ended(&mut self, now: Instant) {
        let ended = self.noted.iter().filter(|(_, it)| it.until <= now);
        let ended: Vec<_> = ended.map(|(token, _)| *token).collect();
        for token in ended {
            self.remove(token);
        }
    }
}

impl Leases {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes it before the lease can be granted. An error if that cannot be kept: then the lease must not be asked for.
    pub(super) fn note(
        &self,
        key: &Key,
        token: Token,
        ttl: Duration,
        change: impl FnOnce(&mut Known),
    ) -> Result<(), BackendError> {
        let now = Instant::now();
        let mut table = self.table();
        if table.noted.len() >= MOST && !table.noted.contains_key(&token) {
            table.remove_ended(now);
            if table.noted.len() >= MOST {
                let detail = "too many leases are under way in a roll-out";
                return Err(BackendError::new(BackendErrorKind::Unavailable, detail));
            }
        }
        let Table { noted, of_key } = &mut *table;
        let noted = match noted.entry(token) {
            Entry::Occupied(noted) => noted.into_mut(),
            Entry::Vacant(place) => {
                of_key.entry(key.clone()).or_default().push(token);
                place.insert(Noted {
                    key: key.clone(),
                    known: Known::default(),
                    granted: false,
                    until: now,
                })
            }
        };
        noted.until = until(now, ttl);
        change(&mut noted.known);
        Ok(())
    }

    pub(super) fn of(&self, token: Token) -> Known {
        let table = self.table();
        let noted = table.noted.get(&token);
        noted.map_or_else(Known::default, |it| it.known)
    }

    /// It lives for so long from now.
    pub(super) fn renewed(&self, token: Token, ttl: Duration) {
        if let Some(noted) = self.table().noted.get_mut(&token) {
            noted.until = until(Instant::now(), ttl);
        }
    }

    /// The answer has come that it was granted.
    pub(super) fn granted(&self, token: Token) {
        if let Some(noted) = self.table().noted.get_mut(&token) {
            noted.granted = true;
        }
    }

    /// Those that end when a value of this key is put: what they were to take the place of is gone then. One that the new backend may grant yet is
    /// none of them, nor is one that may be granted after the put.
    pub(super) fn ended_by_put(&self, key: &Key) -> Vec<Token> {
        let table = self.table();
        let ends = |token: &&Token| {
            let noted = table.noted.get(token);
            noted.is_some_and(|noted| noted.granted && !noted.known.only_old)
        };
        let tokens = table.of_key.get(key);
        tokens.map_or_else(Vec::new, |tokens| {
            tokens.iter().filter(ends).copied().collect()
        })
    }

    /// Nothing is stored under it any more.
    pub(super) fn over(&self, token: Token) {
        self.table().remove(token);
    }
}

fn until(now: Instant, ttl: Duration) -> Instant {
    let latest = ttl.saturating_add(FORGOTTEN);
    now.checked_add(latest).unwrap_or(now + FORGOTTEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_bounded_and_never_forgotten_while_it_counts() {
        let leases = Leases::default();
        let key = Key::from("row:1");
        let (ttl, first) = (Duration::from_secs(10), Token::fresh());
        let note = |token| leases.note(&key, token, ttl, |known| known.only_old = true);
        note(first).expect("there is room");
        for _ in 1..MOST {
            note(Token::fresh()).expect("there is room");
        }
        assert!(note(Token::fresh()).is_err());
        assert!(leases.of(first).only_old);
        note(first).expect("it is known");
        tokio::time::advance(FORGOTTEN).await;
        leases.renewed(first, ttl);
        tokio::time::advance(ttl).await;
        let later = Token::fresh();
        note(later).expect("the others have ended");
        assert!(leases.of(first).only_old);
        leases.granted(first);
        assert!(leases.ended_by_put(&key).is_empty());
        leases.over(first);
        assert_eq!(leases.of(first), Known::default());
        leases.over(later);
        let table = leases.table();
        assert!(table.noted.is_empty() && table.of_key.is_empty());
    }

    /// As of the functions whose values are put, and not filled under the lease of their load.
    #[tokio::test]
    async fn a_value_that_is_put_ends_what_is_known_of_what_it_replaces() {
        let (leases, key, token) = (Leases::default(), Key::from("row:1"), Token::fresh());
        let ttl = Duration::from_secs(10);
        leases
            .note(&key, token, ttl, |known| known.replaces = true)
            .expect("there is room");
        assert!(leases.of(token).replaces);
        assert!(leases.ended_by_put(&key).is_empty(), "not granted yet");
        leases.granted(token);
        assert!(leases.ended_by_put(&Key::from("row:2")).is_empty());
        assert_eq!(leases.ended_by_put(&key), [token]);
    }
}
