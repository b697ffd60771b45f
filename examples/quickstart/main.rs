//! A shop's products in SQLite, cached by two annotations, under load.
//!
//! ```text
//! cargo run --release --example quickstart
//! CACHE_URL=redis://127.0.0.1/ cargo run --release --example quickstart
//! ```
//!
//! Begin with `shop.rs`: it is the application. Everything else here puts load on it and measures.
//! To see stale reads counted, give the loaders there `consistency = "eventual"`.

mod args;
mod failure;
mod marks;
mod replay;
mod report;
mod shop;
#[path = "../trace.rs"]
mod trace;
mod workload;

use std::env;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Cache, FunctionStats};

use args::{Args, Wanted};
use failure::Failure;
use replay::{Replay, Source};
use report::Report;
use shop::Shop;

/// How many callers ask for one cold key at the same moment.
const COLD_KEY_CALLERS: usize = 1_000;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("quickstart: {failure}");
            failure.exit_code()
        }
    }
}

async fn run() -> Result<ExitCode, Failure> {
    let Wanted::Run(args) = Args::from_command_line()? else {
        print!("{}", args::HELP);
        return Ok(ExitCode::SUCCESS);
    };
    let report = measure(&args).await?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    // A stale read is a broken promise, and a script that runs this should hear of it.
    let kept = report.stale_reads == 0;
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure(args: &Args) -> Result<Report, Failure> {
    let workload = workload::workload(args)?;
    let cache = open_cache().await?;
    cache.clone().install()?;
    let shop = Shop::open(workload.products).await?;

    let replay = Arc::new(Replay::new(shop, workload, args.tasks));
    let uncached = replay.run(Source::Database).await?;
    let cached = replay.run(Source::Cache).await?;
    let stats = cache.stats();
    let differing = replay.compare_with_database().await?;
    let cold_key_loads = replay.crowd(COLD_KEY_CALLERS, &cache).await?;
    if cache.clear().await.is_err() {
        eprintln!("quickstart: some entries are left behind; they go when their TTL is over");
    }

    let sum = |figure: fn(&FunctionStats) -> u64| stats.functions.iter().map(figure).sum();
    let (calls, hits) = (
        sum(|function| function.hits + function.misses),
        sum(|function| function.hits),
    );
    Ok(Report {
        backend: stats.backend.name,
        workload: replay.workload.name.clone(),
        calls,
        hits,
        hit_ratio: hits as f64 / calls.max(1) as f64,
        loads: sum(|function| function.loads),
        p50_us: cached.latencies.percentile(50),
        p99_us: cached.latencies.percentile(99),
        uncached_p50_us: uncached.latencies.percentile(50),
        uncached_p99_us: uncached.latencies.percentile(99),
        cold_key_callers: COLD_KEY_CALLERS,
        cold_key_loads,
        stale_reads: cached.stale_reads + differing,
    })
}

/// The cache that `CACHE_URL` names, or one in memory.
///
/// An application would call `Cache::from_env()`. Here each run has a namespace of its own, so that it
/// meets neither the entries of another run, whose products had other versions, nor your application's.
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
        // This program keeps the whole machine busy and measures it. A late answer is a figure here, not a reason to go
        // without the cache.
        .operation_timeout(Duration::from_secs(5))
        .build()
        .await?;
    // Cached functions do not mind a server that is away. Figures without it would be worth nothing, though.
    cache.clear().await?;
    Ok(cache)
}
