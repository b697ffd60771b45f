//! A shop's products in SQLite, cached by two annotations, under load.
//!
//! ```text
//! cargo run --release --example quickstart
//! CACHE_URL=redis://127.0.0.1/ cargo run --release --example quickstart
//! ```
//!
//! Begin with `shop.rs`: it is the application. Everything else here loads it and measures it.

mod args;
mod failure;
mod marks;
mod replay;
mod report;
mod shop;
mod workload;

use std::env;
use std::process::{self, ExitCode};
use std::sync::Arc;

use cache_runtime::Cache;

use args::{Args, Wanted};
use failure::Failure;
use replay::{Replay, Source};
use report::Report;
use shop::Shop;
use workload::Workload;

/// How many callers ask for one cold key at the same moment.
const COLD_KEY_CALLERS: usize = 1_000;

#[tokio::main]
async fn main() -> ExitCode {
    let wanted = Args::from_command_line();
    let outcome = match &wanted {
        Ok(Wanted::Help) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Wanted::Run(args)) => run(args).await.map(|report| (report, args.json)),
        Err(failure) => Err(Failure::Input(failure.to_string())),
    };
    match outcome {
        Ok((report, json)) => {
            if json {
                println!("{}", report.json())
            } else {
                print!("{report}")
            }
            // A stale read is a broken promise, and whoever runs this in a script should hear of it.
            if report.stale_reads == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(failure) => {
            eprintln!("quickstart: {failure}");
            failure.exit_code()
        }
    }
}

async fn run(args: &Args) -> Result<Report, Failure> {
    let workload = Workload::new(args)?;
    let cache = open_cache().await?;
    cache.clone().install()?;
    let shop = Shop::open(workload.products).await?;

    let replay = Arc::new(Replay::new(shop, workload, args.tasks));
    let uncached = replay.run(Source::Database).await?;
    let cached = replay.run(Source::Cache).await?;
    let stats = cache.stats();
    let differing = replay.compare_with_database().await?;
    let cold_key_loads = replay.crowd(COLD_KEY_CALLERS, &cache).await?;

    let report = Report {
        backend: stats.backend.name,
        workload: replay.workload.name.clone(),
        calls: stats
            .functions
            .iter()
            .map(|function| function.hits + function.misses)
            .sum(),
        hits: stats.functions.iter().map(|function| function.hits).sum(),
        loads: stats.functions.iter().map(|function| function.loads).sum(),
        cached: cached.latencies.quantiles(),
        uncached: uncached.latencies.quantiles(),
        cold_key_callers: COLD_KEY_CALLERS,
        cold_key_loads,
        stale_reads: cached.stale_reads + differing,
    };
    cache.clear().await?;
    Ok(report)
}

/// The cache that `CACHE_URL` names, or one in memory.
///
/// An application would call `Cache::from_env()`. This one gives each run a namespace of its own, so that it meets neither
/// the entries of another run, whose products had other versions, nor those of your application.
async fn open_cache() -> Result<Cache, cache_runtime::Error> {
    let url = env::var("CACHE_URL").unwrap_or_else(|_| "memory://".to_owned());
    let started = std::time::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_millis();
    let namespace = format!("quickstart-{}-{started}", process::id());
    let cache = Cache::builder()
        .url(&url)?
        .namespace(namespace)
        .build()
        .await?;
    // A cached function does not mind a server that is away. Its figures would be worth nothing, though: ask once.
    cache.clear().await?;
    Ok(cache)
}
