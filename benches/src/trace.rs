//! `trace FILE`: which share of an access trace each cache serves at the same capacity, and how fast.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufReader, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::Cache;
use cache_runtime::backend::Memory;
use tokio::runtime::Builder;

use crate::report::{OURS, Over, Report, progress};

/// A long trace is its own repetition: one round of it takes as long as several of a short one.
const LONG: usize = 1_000_000;

pub(crate) fn run(file: &str) -> io::Result<Report> {
    let mut report = Report::new("trace");
    let keys = read(file)?;
    let distinct = keys.iter().collect::<HashSet<_>>().len();
    let rounds = if keys.len() < LONG { 5 } else { 1 };
    for percent in [1, 5, 20] {
        let capacity = (distinct * percent / 100).max(1);
        for round in 1..=rounds {
            for (name, replay) in SUBJECTS {
                progress(&format!(
                    "{percent}% of {distinct} keys: round {round} of {rounds}, {name}"
                ));
                let began = Instant::now();
                let hits = replay(&keys, capacity);
                let rate = keys.len() as f64 / began.elapsed().as_secs_f64();
                let ratio = hits as f64 / keys.len() as f64;
                report.add(
                    &format!("{percent}%/hit_ratio"),
                    name,
                    "hits/call",
                    Over::Median,
                    ratio,
                );
                report.add(
                    &format!("{percent}%/calls"),
                    name,
                    "calls/s",
                    Over::Median,
                    rate,
                );
            }
        }
    }
    progress("");
    Ok(report)
}

/// Replays the trace, one call after another, on a fresh cache with room for so many entries: how many calls were hits.
type Replay = fn(&[u32], usize) -> u64;

const SUBJECTS: [(&str, Replay); 4] = [
    (OURS, ours),
    ("quick_cache", quick_cache),
    ("moka", moka),
    ("foyer", foyer),
];

static LOADS: AtomicU64 = AtomicU64::new(0);

#[cache_runtime::cached(key = "object:<key>", ttl = 3600)]
async fn load(key: u32) -> Arc<u32> {
    LOADS.fetch_add(1, Ordering::Relaxed);
    Arc::new(key)
}

fn ours(keys: &[u32], capacity: usize) -> u64 {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let before = LOADS.load(Ordering::Relaxed);
    runtime.block_on(async {
        let memory = Memory::builder()
            .max_entries(capacity)
            .build()
            .expect("a valid bound");
        let cache = Cache::builder()
            .backend(memory)
            .build()
            .await
            .expect("nothing to go wrong in memory");
        let replay = async {
            for &key in keys {
                load(key).await;
            }
        };
        cache.scope(replay).await;
    });
    keys.len() as u64 - (LOADS.load(Ordering::Relaxed) - before)
}

fn quick_cache(keys: &[u32], capacity: usize) -> u64 {
    let cache = quick_cache::sync::Cache::<String, Arc<u32>>::new(capacity);
    count(
        keys,
        |key| cache.get(key).is_some(),
        |key, value| cache.insert(key, value),
    )
}

fn moka(keys: &[u32], capacity: usize) -> u64 {
    let ttl = Duration::from_secs(3600);
    let cache = moka::sync::Cache::<String, Arc<u32>>::builder()
        .max_capacity(capacity as u64)
        .time_to_live(ttl)
        .build();
    count(
        keys,
        |key| cache.get(key).is_some(),
        |key, value| cache.insert(key, value),
    )
}

fn foyer(keys: &[u32], capacity: usize) -> u64 {
    let cache = foyer_memory::CacheBuilder::new(capacity).build::<foyer_memory::CacheProperties>();
    count(
        keys,
        |key: &String| cache.get(key).is_some(),
        |key, value| {
            cache.insert(key, value);
        },
    )
}

/// The hits of a cache that is used by hand: asked, and on a miss filled.
fn count(keys: &[u32], get: impl Fn(&String) -> bool, insert: impl Fn(String, Arc<u32>)) -> u64 {
    let mut hits = 0;
    for &number in keys {
        let key = format!("object:{number}");
        if get(&key) {
            hits += 1;
        } else {
            insert(key, Arc::new(number));
        }
    }
    hits
}

/// The keys of a trace: big-endian unsigned 32-bit integers, packed with xz if the file's name says so.
fn read(file: &str) -> io::Result<Vec<u32>> {
    let bytes = if file.ends_with(".xz") {
        let mut unpacked = Vec::new();
        lzma_rs::xz_decompress(&mut BufReader::new(fs::File::open(file)?), &mut unpacked).map_err(
            |error| io::Error::new(ErrorKind::InvalidData, format!("not an xz file: {error}")),
        )?;
        unpacked
    } else {
        fs::read(file)?
    };
    let (keys, rest) = bytes.as_chunks::<4>();
    if keys.is_empty() || !rest.is_empty() {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "not a list of 32-bit integers",
        ));
    }
    Ok(keys.iter().map(|key| u32::from_be_bytes(*key)).collect())
}
