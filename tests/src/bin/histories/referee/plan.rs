//! Which faults, and in which order: the seed says it all.

use std::time::Duration;

use fastrand::Rng;

use crate::arguments::Arguments;
use crate::member::INTENT;

/// How many processes there are.
pub(super) const MEMBERS: usize = 3;

/// Reads for each fault, about: a plan of more reads has more faults.
const READS: u64 = 20_000;

/// A sort of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// Redis is killed, and comes back with all that it had.
    RedisKilled,
    /// Redis is killed, and comes back empty.
    RedisLost,
    /// Redis is stopped, for less than intents live.
    RedisHung,
    /// Redis is stopped until the intents of all writes have expired.
    RedisHungLong,
    RedisFlushed,
    /// All connections to Redis are cut.
    Cut,
    /// What Redis is told it does, and nobody hears of it; then all connections are cut.
    RepliesLost,
    /// A process is killed between the commit and the invalidation of one of its writes.
    ClientKilled,
    /// A process is stopped there, until its leases and intents have expired, and goes on.
    ClientStopped,
    PostgresRestarted,
    /// A copy of Redis that is somewhat behind takes over.
    Failover,
}

impl Sort {
    pub(crate) const ALL: [Self; 11] = [
        Self::RedisKilled,
        Self::RedisLost,
        Self::RedisHung,
        Self::RedisHungLong,
        Self::RedisFlushed,
        Self::Cut,
        Self::RepliesLost,
        Self::ClientKilled,
        Self::ClientStopped,
        Self::PostgresRestarted,
        Self::Failover,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RedisKilled => "redis-killed",
            Self::RedisLost => "redis-lost",
            Self::RedisHung => "redis-hung",
            Self::RedisHungLong => "redis-hung-long",
            Self::RedisFlushed => "redis-flushed",
            Self::Cut => "cut",
            Self::RepliesLost => "replies-lost",
            Self::ClientKilled => "client-killed",
            Self::ClientStopped => "client-stopped",
            Self::PostgresRestarted => "postgres-restarted",
            Self::Failover => "failover",
        }
    }

    /// Whether something may be stale when it is over and everybody has recovered, until the TTL.
    pub(super) fn leaves_stale(self) -> bool {
        matches!(
            self,
            Self::RedisLost | Self::RedisFlushed | Self::ClientKilled | Self::Failover
        )
    }
}

/// What happens. Members are told by their place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    Redis(Sort, Duration),
    ClientKilled(usize),
    ClientStopped(usize, Duration),
    PostgresRestarted(Duration),
    /// The copy is behind for so long before the server is killed, and takes over so long after it.
    Failover(Duration, Duration),
}

impl Fault {
    pub(super) fn sort(&self) -> Sort {
        match self {
            Self::Redis(sort, _) => *sort,
            Self::ClientKilled(_) => Sort::ClientKilled,
            Self::ClientStopped(..) => Sort::ClientStopped,
            Self::PostgresRestarted(_) => Sort::PostgresRestarted,
            Self::Failover(..) => Sort::Failover,
        }
    }

    fn of(sort: Sort, random: &mut Rng) -> Self {
        let mut millis = |least: u64, most: u64| Duration::from_millis(random.u64(least..most));
        match sort {
            Sort::RedisHungLong => Self::Redis(sort, INTENT + millis(200, 800)),
            Sort::ClientKilled => Self::ClientKilled(random.usize(..MEMBERS)),
            Sort::ClientStopped => {
                let asleep = INTENT + millis(200, 800);
                Self::ClientStopped(random.usize(..MEMBERS), asleep)
            }
            Sort::PostgresRestarted => Self::PostgresRestarted(millis(0, 300)),
            Sort::Failover => Self::Failover(millis(0, 1000), millis(50, 400)),
            _ => Self::Redis(sort, millis(100, 600)),
        }
    }
}

/// The faults of a run.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    faults: Vec<Fault>,
}

impl Plan {
    pub(super) fn new(arguments: &Arguments) -> Self {
        let mut random = Rng::with_seed(arguments.seed);
        let mut faults = Vec::new();
        let many = usize::try_from(arguments.reads / READS).unwrap_or(usize::MAX);
        while !arguments.faults.is_empty() && faults.len() < many.max(1) {
            let mut round = arguments.faults.clone();
            random.shuffle(&mut round);
            faults.extend(round.into_iter().map(|sort| Fault::of(sort, &mut random)));
        }
        Self { faults }
    }

    pub(super) fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan::new(&Arguments {
            reads: 1_000_000,
            seed,
            faults: Sort::ALL.to_vec(),
            json: false,
            verbose: false,
            broken: None,
        })
    }

    #[test]
    fn the_seed_says_it_all() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
        for sort in Sort::ALL {
            assert!(plan(7).faults().iter().any(|fault| fault.sort() == sort));
        }
    }
}
