//! A cache is restarted in the middle of a trace: cold, warmed with its hottest keys, warmed by a replay of what was read, or not restarted but
//! exchanged for an empty one bit by bit.
//!
//! ```text
//! cargo run --release --example warm_up
//! ```
//!
//! Begin with `shop.rs`, the application, and `main.rs` from `eager` on.

mod args;
mod shop;
mod table;
#[path = "../trace.rs"]
mod trace;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::backend::{Gradual, Memory};
use cache_runtime::warm::shadow::{AccessLog, Recorder, Speed, replay};
use cache_runtime::warm::{HotKeys, Progress};
use cache_runtime::{Cache, CacheBuilder};

use args::{Args, Wanted};
use shop::{Db, load_product};
use table::{Row, Table};
use trace::Trace;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// So many accesses after the restart are looked at, and so many keys are warmed eagerly.
const ACCESSES: usize = 5_000;
const HOTTEST: usize = 2_000;
/// The shares that the new backend has in a gradual roll-out, each for as many accesses as are looked at.
const SHARES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 1.0];
/// The part of the trace that is before the restart.
const BEFORE: f64 = 0.6;
/// Without a trace.
const PRODUCTS: u32 = 20_000;
const CALLS: usize = 75_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = match Args::from_command_line() {
        Ok(Wanted::Run(args)) => args,
        Ok(Wanted::Help) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("warm_up: {error}; --help lists the options");
            return ExitCode::from(2);
        }
    };
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("warm_up: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Failure> {
    let trace = match &args.trace {
        Some(file) => Trace::recorded(file, None)
            .map_err(|error| format!("trace {}: {error}", file.display()))?,
        None => Trace::generated(PRODUCTS, CALLS),
    };
    let before = (trace.accesses.len() as f64 * BEFORE) as usize;
    let needed = before + ACCESSES * SHARES.len();
    if trace.accesses.len() < needed {
        return Err(format!(
            "the trace has {} accesses, and {needed} are needed",
            trace.accesses.len()
        )
        .into());
    }
    let (before, after) = trace.accesses.split_at(before);
    // Of two services that did the same.
    let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let to_be_exchanged = run_service(before, one.path()).await?;
    let not_to_be_restarted = run_service(before, other.path()).await?;

    let table = Table {
        workload: trace.name.clone(),
        products: trace.products,
        accesses_before: before.len(),
        accesses: ACCESSES,
        rows: vec![
            cold(after).await?,
            eager(after, one.path()).await?,
            shadow(after, one.path()).await?,
            gradual(after, to_be_exchanged).await?,
            not_restarted(after, not_to_be_restarted).await?,
        ],
    };
    if args.json {
        println!("{}", serde_json::to_string(&table)?);
    } else {
        print!("{table}");
    }
    Ok(())
}

/// Runs the service until the restart. It leaves files behind, and the entries of its cache: a restart loses these, and a roll-out begins with them.
async fn run_service(before: &[u32], folder: &Path) -> Result<Arc<Memory>, Failure> {
    let store = Arc::new(Memory::new());
    let cache = builder()
        .backend(store.clone())
        // Some times as many as are to be warmed. A busier service would count one access in sixteen.
        .track_hot_keys(HotKeys::new(5 * HOTTEST).one_in(1))
        // Half of the keys, with all accesses of each.
        .record(Recorder::to_file(folder.join("access.log")).one_in(2))
        .build()
        .await?;
    read(&cache, before).await?;
    cache.save_hot_keys(folder.join("hot.keys")).await?;
    if let Some(recording) = cache.recording() {
        recording.close().await?;
    }
    Ok(store)
}

fn builder() -> CacheBuilder {
    Cache::builder().provide(Db)
}

async fn read(cache: &Cache, accesses: &[u32]) -> Result<(), Failure> {
    for &id in accesses {
        let product = cache.scope(load_product(id)).await?;
        assert_eq!(product.id, id);
    }
    Ok(())
}

fn loads(cache: &Cache) -> u64 {
    cache.stats().function(load_product::SPEC).loads
}

/// The loads of the first accesses after a restart with this cache.
async fn first(way: &'static str, cache: &Cache, after: &[u32]) -> Result<Row, Failure> {
    let loads_before = loads(cache);
    read(cache, &after[..ACCESSES]).await?;
    let loads = loads(cache) - loads_before;
    Ok(Row {
        way,
        loads_before,
        loads,
        most_loads: loads,
        hit_ratio: 1.0 - loads as f64 / ACCESSES as f64,
    })
}

async fn cold(after: &[u32]) -> Result<Row, Failure> {
    let cache = builder().build().await?;
    first("cold", &cache, after).await
}

/// The hottest keys of before the restart are in a file, and are loaded before the first access.
async fn eager(after: &[u32], folder: &Path) -> Result<Row, Failure> {
    let cache = builder().track_hot_keys(5 * HOTTEST).build().await?;
    cache.load_hot_keys(folder.join("hot.keys")).await?;
    let warm_up = cache.warm().hottest(HOTTEST).concurrency(16);
    let report = warm_up.progress(Progress::Bar).run().await;
    assert_eq!(report.failed, 0, "{report}");
    first("warmed eagerly with the 2,000 hottest keys", &cache, after).await
}

/// What was read before the restart was recorded, and is read again before the first access.
async fn shadow(after: &[u32], folder: &Path) -> Result<Row, Failure> {
    let cache = builder().build().await?;
    let log = AccessLog::open(folder.join("access.log")).await?;
    let replay = replay(log).against(&cache).speed(Speed::AsFastAsItGoes);
    let report = replay.progress(Progress::Bar).run().await;
    assert_eq!(report.failed, 0, "{report}");
    first("after a shadow replay of every second key", &cache, after).await
}

/// Nothing is lost: an empty backend takes the keys of the old one over, a share at a time.
async fn gradual(after: &[u32], old: Arc<Memory>) -> Result<Row, Failure> {
    let roll_out = Gradual::builder(old, Memory::new());
    // There are no writers whose writes would have to be heard of first.
    let (backend, rollout) = roll_out.settle(Duration::ZERO).build()?;
    let cache = builder().backend(backend).build().await?;
    let mut steps = Vec::new();
    for (share, accesses) in SHARES.into_iter().zip(after.chunks(ACCESSES)) {
        rollout.grow_to(share).await?;
        let before = loads(&cache);
        read(&cache, accesses).await?;
        steps.push(loads(&cache) - before);
    }
    let first = steps.first().copied().unwrap_or_default();
    Ok(Row {
        way: "gradually: 5%, 25%, 50%, 75%, 100%",
        loads_before: 0,
        loads: first,
        most_loads: steps.into_iter().max().unwrap_or_default(),
        hit_ratio: 1.0 - first as f64 / ACCESSES as f64,
    })
}

/// The best that there could be: keys that were never asked for before are in no cache.
async fn not_restarted(after: &[u32], store: Arc<Memory>) -> Result<Row, Failure> {
    let cache = builder().backend(store).build().await?;
    first("not restarted", &cache, after).await
}
