//! Who works on which partition.

use std::collections::HashMap;
use std::time::Duration;

use crate::backend::Token;
use crate::backend::log::{Attendance, Owned, PARTITIONS};
use crate::clock::Moment;
use crate::mutants::{self, Mutant};

/// The members of the log, until when each is alive, and who owns each partition. An owner that is alive no more owns nothing.
#[derive(Default)]
pub(super) struct Members {
    alive: HashMap<Token, Moment>,
    owners: [Option<Token>; PARTITIONS as usize],
    terms: [Term; PARTITIONS as usize],
}

/// How often a partition has gone to another member, and who that was.
#[derive(Clone, Copy, Default)]
struct Term {
    number: u64,
    of: Option<Token>,
}

impl Term {
    fn begin(&mut self, member: Token) {
        if self.of.replace(member) != Some(member) {
            self.number += 1;
        }
    }
}

impl Members {
    pub(super) fn attend(&mut self, member: Token, ttl: Duration, now: Moment) -> Attendance {
        // Before the member is entered: one that was away for too long owns nothing of what it had.
        self.forget_expired(now);
        self.alive.insert(member, now.after(ttl));
        let alive = u8::try_from(self.alive.len()).unwrap_or(u8::MAX);
        let share = PARTITIONS.div_ceil(alive);
        let missing = usize::from(share).saturating_sub(self.owned(member).len());
        let partitions = self.owners.iter_mut().zip(&mut self.terms);
        let free = partitions.filter(|(owner, _)| owner.is_none());
        for (owner, term) in free.take(missing) {
            *owner = Some(member);
            term.begin(member);
        }
        Attendance {
            owned: self.owned(member),
            share,
        }
    }

    pub(super) fn owns(&self, member: Token, partition: u8, now: Moment) -> bool {
        let is_alive = self.alive.get(&member).is_some_and(|&until| until > now);
        is_alive && self.owners.get(usize::from(partition)) == Some(&Some(member))
            || mutants::on(Mutant::MemoryOwnerNotChecked)
    }

    pub(super) fn resign(&mut self, member: Token, partitions: &[u8]) {
        for &partition in partitions {
            if let Some(owner) = self.owners.get_mut(usize::from(partition)) {
                owner.take_if(|owner| *owner == member);
            }
        }
    }

    pub(super) fn leave(&mut self, member: Token) {
        self.alive.remove(&member);
        for owner in &mut self.owners {
            owner.take_if(|owner| *owner == member);
        }
    }

    fn forget_expired(&mut self, now: Moment) {
        let alive = &mut self.alive;
        alive.retain(|_, until| *until > now);
        for owner in &mut self.owners {
            owner.take_if(|owner| !alive.contains_key(owner));
        }
    }

    fn owned(&self, member: Token) -> Vec<Owned> {
        let partitions = (0_u8..).zip(self.owners.iter().zip(&self.terms));
        let owned = partitions.filter(|(_, (owner, _))| **owner == Some(member));
        owned
            .map(|(partition, (_, term))| Owned {
                partition,
                term: term.number,
            })
            .collect()
    }
}
