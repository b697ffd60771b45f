//! Which kills, and when: the seed says it all.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

use crate::member::{LEASE, PATIENCE};

/// A kill, so long after the one before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kill {
    pub(super) after: Duration,
    pub(super) what: What,
}

/// What is killed, and at what moment. Members are told by their place among those of their kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Writer(usize),
    Worker(usize),
    /// One that both writes and works.
    Both,
    /// A member that works, between the commit of a body and its acknowledgement to the log.
    AfterCommit(usize),
    /// A member that works, while all others who work sleep: first so long that it has taken over what was theirs, then so long after its end.
    AloneAtWork(usize, Duration, Duration),
    /// It is away for so long.
    Redis(Duration),
    /// After it has been stopped for so long, longer than calls wait for it, and has gone on for as long as it is away then.
    RedisAfterSleep(Duration, Duration),
    /// While all who work are stopped, and the log has an acknowledged write that none of them has seen. They wake up when Redis is back, and their leases are over.
    RedisBehindWorkers(Duration),
}

/// How many there are of each kind.
pub(super) const WRITERS: usize = 2;
pub(super) const WORKERS: usize = 2;
/// The workers, and the one that does both.
pub(super) const WHO_WORK: usize = WORKERS + 1;

const LONGEST_WAIT: u64 = 200;
/// Beyond what whoever waits for a sleeper waits.
const SLEEP: Range<u64> = 100..600;
const LONGEST_AWAY: u64 = 600;

/// An endless row of kills.
#[derive(Debug)]
pub(super) struct Plan {
    random: Rng,
    round: Vec<What>,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            round: Vec::new(),
        }
    }

    fn away(&mut self) -> Duration {
        // Often it is back at once, as under a supervisor.
        let longest = if self.random.bool() { 0 } else { LONGEST_AWAY };
        Duration::from_millis(self.random.u64(..=longest))
    }

    fn asleep(&mut self, longer_than: Duration) -> Duration {
        longer_than + Duration::from_millis(self.random.u64(SLEEP))
    }

    fn alone_at_work(&mut self) -> What {
        let who = self.random.usize(..WHO_WORK);
        let asleep = self.asleep(LEASE);
        let longer = Duration::from_millis(self.random.u64(..LONGEST_AWAY));
        What::AloneAtWork(who, asleep, longer)
    }

    /// One kill of each sort, so that few kills too have all of them.
    fn shuffled(&mut self) -> Vec<What> {
        let mut round = vec![
            What::Writer(self.random.usize(..WRITERS)),
            What::Worker(self.random.usize(..WORKERS)),
            What::Both,
            What::AfterCommit(self.random.usize(..WHO_WORK)),
            self.alone_at_work(),
            What::Redis(self.away()),
            What::RedisAfterSleep(self.asleep(PATIENCE), self.away()),
            What::RedisBehindWorkers(self.away()),
        ];
        self.random.shuffle(&mut round);
        round
    }
}

impl Iterator for Plan {
    type Item = Kill;

    fn next(&mut self) -> Option<Kill> {
        if self.round.is_empty() {
            self.round = self.shuffled();
        }
        Some(Kill {
            after: Duration::from_millis(self.random.u64(..LONGEST_WAIT)),
            what: self.round.pop()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kills(seed: u64) -> Vec<Kill> {
        Plan::new(seed).take(100).collect()
    }

    #[test]
    fn the_seed_says_it_all() {
        assert_eq!(kills(7), kills(7));
        assert_ne!(kills(7), kills(8));
    }
}
