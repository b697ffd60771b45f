//! A process of a region: it writes, it reads, and it hears of the other region's writes.

mod work;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache_runtime::bus::RedisBus;
use cache_runtime::{BusOptions, Cache};
use serde::{Deserialize, Serialize};
use tests::FaultyBus;
use tests::driver::{Role, say};

use crate::arguments::Without;
use crate::database::Database;
use crate::words::{Figures, Order, Word};

pub(crate) use self::work::row;

pub(crate) const ROLE: Role = Role {
    program: "regions",
    variable: "CACHE_REGIONS_MEMBER",
};

/// How long an event is with a process before another takes it over.
pub(crate) const TAKEOVER: Duration = Duration::from_millis(500);

/// What a member is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) region: String,
    pub(crate) store: String,
    pub(crate) bus: String,
    pub(crate) database: String,
    pub(crate) seed: u64,
    pub(crate) round: u64,
    /// Whether it begins to write at once.
    pub(crate) writes: bool,
    pub(crate) without: Without,
    pub(crate) verbose: bool,
}

/// Plays the role until the process is killed, or the referee has gone.
pub(crate) fn run(settings: Settings) -> ! {
    ROLE.play(settings.verbose, play(settings))
}

async fn play(settings: Settings) {
    let (cache, database) = match build(&settings).await {
        Ok(built) => built,
        Err(error) => ROLE.give_up(&error),
    };
    let work = work::begin(&cache, &database, &settings);
    let mut orders = tests::driver::orders();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Round(round) => work.turn_to(round),
            Order::Report => say(&Word::Figures(figures(&cache))),
            Order::Hold => {
                work.hold().await;
                say(&Word::Held);
            }
        }
    }
}

async fn build(settings: &Settings) -> Result<(Cache, Database), Box<dyn std::error::Error>> {
    let bus = RedisBus::from_url(&settings.bus)?
        .namespace("regions")
        .connect()
        .await?;
    let (bus, faults) = FaultyBus::new(bus);
    let Without {
        waiting,
        takeover,
        flush,
    } = settings.without;
    faults.acknowledges_first.store(waiting, SeqCst);
    faults.claims_nothing.store(takeover, SeqCst);
    faults.forgets_quietly.store(flush, SeqCst);
    let cache = Cache::builder()
        .url(&settings.store)?
        .namespace("regions")
        .bus(bus, &settings.region)?
        .bus_options(BusOptions::new().takeover(TAKEOVER))
        .build()
        .await?;
    Ok((cache, Database::connect(&settings.database).await?))
}

fn figures(cache: &Cache) -> Figures {
    let bus = cache.stats().bus.expect("a cache with a bus");
    let micros = |lag: Duration| u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
    Figures {
        applied: bus.applied,
        taken_over: bus.taken_over,
        flushes: bus.flushes,
        p50: micros(bus.lag_p50),
        p99: micros(bus.lag_p99),
    }
}
