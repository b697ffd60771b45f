//! A process of a region: it writes, it reads, and it hears of the other region's writes.

mod orders;
mod work;

use std::fmt::Display;
use std::io::Write;
use std::process;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache_runtime::bus::RedisBus;
use cache_runtime::{BusOptions, Cache};
use serde::{Deserialize, Serialize};
use tests::FaultyBus;

use crate::arguments::Without;
use crate::database::Database;
use crate::words::{Figures, Order, Word};

pub(crate) use self::work::row;

/// Where a process finds its settings. Without them it is the referee.
pub(crate) const SETTINGS: &str = "CACHE_REGIONS_MEMBER";

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

impl Settings {
    pub(crate) fn of_this_process() -> Option<Self> {
        let text = std::env::var(SETTINGS).ok()?;
        match serde_json::from_str(&text) {
            Ok(settings) => Some(settings),
            Err(error) => give_up(&format!("{SETTINGS}: {error}")),
        }
    }
}

/// Plays the role until the process is killed, or the referee has gone.
pub(crate) fn run(settings: Settings) -> ! {
    end_with_the_referee();
    if settings.verbose {
        log_to_stderr();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(play(settings)),
        Err(error) => give_up(&error),
    }
}

async fn play(settings: Settings) -> ! {
    let (cache, database) = match build(&settings).await {
        Ok(built) => built,
        Err(error) => give_up(&error),
    };
    let work = work::begin(&cache, &database, &settings);
    let mut orders = orders::listen();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Round(round) => work.turn_to(round),
            Order::Report => say(Word::Figures(figures(&cache))),
            Order::Hold => {
                work.hold().await;
                say(Word::Held);
            }
        }
    }
    process::exit(1)
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

/// Says a line to the referee. It is in the pipe when this returns, and outlives the process there.
fn say(word: Word) {
    let line = word.line() + "\n";
    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
        process::exit(1);
    }
}

fn log_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::DEBUG)
        .init();
}

fn give_up(problem: &dyn Display) -> ! {
    eprintln!("regions: a member could not go on: {problem}");
    process::exit(1)
}

/// The end of its input ends a member too, but one that is stopped does not see that.
fn end_with_the_referee() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
    {
        give_up(&error);
    }
}
