//! A process that is killed: it writes, or works, or both.

mod functions;
mod writing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, Error, WriteBehind};
use serde::{Deserialize, Serialize};
use tests::driver::{Role, say};

use crate::arguments::Without;
use crate::ledger::Ledger;
use crate::words::{Order, Word};

pub(crate) use self::writing::task_of;

pub(crate) const ROLE: Role = Role {
    program: "crash",
    variable: "CACHE_CRASH_MEMBER",
};

/// How long a partition is without an owner when that is killed: short, so that takeovers come as often as kills.
pub(crate) const LEASE: Duration = Duration::from_millis(400);

/// How long a call waits for the log.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// What kills leave undone is tried again soon.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What a member is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) writes: bool,
    pub(crate) works: bool,
    /// No other process of the run has the same.
    pub(crate) birth: u32,
    pub(crate) seed: u64,
    pub(crate) redis: String,
    pub(crate) postgres: String,
    pub(crate) without: Without,
    pub(crate) verbose: bool,
}

/// Where the referee wants to know a body: between its commit and its acknowledgement, for a kill to come just then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hold(Arc<AtomicBool>);

impl Hold {
    fn arm(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn after_commit(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            say(&Word::Held);
            std::future::pending::<()>().await;
        }
    }
}

/// A cache on the log of the run.
pub(crate) fn cache(redis: &str, works: bool) -> Result<CacheBuilder, Error> {
    // Each kill ends attempts without a result, of which nobody can say whether the write itself ended its worker. Here it never does: any number
    // of attempts that could be reached would only count kills.
    let options = WriteBehind::new()
        .attempts(u32::MAX)
        .backoff(FIRST_PAUSE, LONGEST_PAUSE)
        .log_timeout(PATIENCE)
        .worker(works);
    let builder = Cache::builder().url(redis)?.namespace("crash");
    Ok(builder.write_behind(options).lease_ttl(LEASE))
}

/// Plays the role until the process is killed, or has nothing more to do.
pub(crate) fn run(settings: Settings) -> ! {
    functions::REVERSED.store(settings.without.order, Ordering::Relaxed);
    ROLE.play(settings.verbose, play(settings))
}

async fn play(settings: Settings) {
    let hold = Hold::default();
    let cache = match build(&settings, &hold).await {
        Ok(cache) => cache,
        Err(error) => ROLE.give_up(&error),
    };
    let writing = writing::begin(&cache, &settings);
    let mut orders = tests::driver::orders();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Hold => hold.arm(),
            Order::TellOfWrite => writing.tell_of_next(),
            Order::StopWriting => {
                writing.stop().await;
                say(&Word::Stopped);
            }
        }
    }
}

async fn build(settings: &Settings, hold: &Hold) -> Result<Cache, Box<dyn std::error::Error>> {
    let mut builder = cache(&settings.redis, settings.works)?;
    if settings.works {
        let without_sequence = settings.without.sequence;
        let ledger = Ledger::connect(&settings.postgres, without_sequence, hold.clone()).await?;
        builder = builder.provide(ledger);
    }
    Ok(builder.build().await?)
}
