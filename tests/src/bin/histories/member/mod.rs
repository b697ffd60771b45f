//! A process that reads and writes, and writes down what came of it.

mod choices;
mod database;
mod functions;
mod log;
mod random;
mod station;
mod steps;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::Cache;
use cache_runtime::backend::Memory;
use cache_runtime::backend::redis::Redis;
use serde::{Deserialize, Serialize};
use tests::driver::Role;

use self::database::Database;
use self::log::Log;
use self::random::Random;
use self::station::{Common, Halting};
use self::steps::{Seen, Steps};
use self::tasks::Tasks;
use crate::arguments::Broken;
use crate::keys::{Mode, RowId};
use crate::words::Order;

pub(crate) const ROLE: Role = Role {
    program: "histories",
    variable: "CACHE_HISTORIES_MEMBER",
};

/// How long values live: what may be stale until then is soon over.
pub(crate) const TTL: Duration = Duration::from_secs(2);

/// How long leases and intents live that nobody renews.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
pub(crate) const INTENT: Duration = Duration::from_secs(2);

/// What a member is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// No other process of the run has the same.
    pub(crate) birth: u64,
    pub(crate) seed: u64,
    pub(crate) redis: String,
    pub(crate) postgres: String,
    /// How many tasks there are on Redis, and how many microseconds each thinks at most between two operations; 0 for none.
    pub(crate) tasks: u64,
    pub(crate) thought: u64,
    /// The most that a call waits for a backend that does not answer.
    pub(crate) patience: Duration,
    pub(crate) broken: Option<Broken>,
    pub(crate) verbose: bool,
}

/// Plays the role until the process is killed, or the referee has gone.
pub(crate) fn run(settings: Settings) -> ! {
    ROLE.play(settings.verbose, play(settings))
}

async fn play(settings: Settings) {
    let mut tasks = match begin(&settings).await {
        Ok(tasks) => tasks,
        Err(error) => ROLE.give_up(&error),
    };
    let mut orders = tests::driver::orders();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Begin => tasks.begin(),
            Order::Halt => tasks.halting().arm(),
            Order::Release => tasks.halting().release(),
            Order::HoldWrites => tasks.hold().await,
            Order::Write => tasks.write(),
            Order::TellOfHealth => tasks.tell_of_health(),
            Order::ReadAll => tasks.read_all(),
        }
    }
}

/// A cache with what was seen of its backend.
#[derive(Debug, Clone)]
struct Place {
    cache: Cache,
    seen: Arc<Seen>,
}

async fn begin(settings: &Settings) -> Result<Tasks, Box<dyn std::error::Error>> {
    let redis = Redis::from_url(&settings.redis)?
        .namespace("histories")
        .connect()
        .await?;
    let delays = |part: u64| Random::new(settings.seed, (settings.birth << 8) + part);
    let (redis, on_redis) = Steps::new(redis, delays(1), settings.broken);
    let (memory, in_memory) = Steps::new(Memory::new(), delays(2), settings.broken);
    let build = |builder: cache_runtime::CacheBuilder| {
        builder
            .operation_timeout(settings.patience)
            .lease_ttl(LEASE)
            .intent_ttl(INTENT)
            .build()
    };
    let on_redis = Place {
        cache: build(Cache::builder().backend(redis)).await?,
        seen: on_redis,
    };
    let in_memory = Place {
        cache: build(Cache::builder().backend(memory)).await?,
        seen: in_memory,
    };
    let common = Arc::new(Common {
        birth: settings.birth,
        database: Database::at(&settings.postgres),
        log: Log::start(),
        halting: Halting::default(),
        broken: settings.broken,
    });
    let own = Mode::IN_MEMORY
        .into_iter()
        .flat_map(|mode| RowId::all_of(mode, settings.birth));
    common.database.make(own).await?;
    Ok(Tasks::new(settings, &common, on_redis, in_memory))
}
