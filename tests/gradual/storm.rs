//! Reads and writes in several processes, while the share is changed at random and each loses the new backend now and then: no read may be
//! older than the last write of its key that had returned when it began.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cache_runtime::backend::Gradual;
use cache_runtime::backend::gradual::Rollout;
use cache_runtime::backend::redis::Redis;
use cache_runtime::testing::{Fault, Faults, Faulty};
use cache_runtime::{Cache, cached, invalidates};
use tests::{DEADLINE, PATIENCE, RedisServer, eventually};
use tokio::task::JoinSet;

use super::{Host, Stores};

const KEYS: usize = 16;

/// Rows of a database, and for each the newest version whose writer has returned.
struct Rows {
    committed: [AtomicU64; KEYS],
    returned: [AtomicU64; KEYS],
}

impl Rows {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            committed: std::array::from_fn(|_| AtomicU64::new(0)),
            returned: std::array::from_fn(|_| AtomicU64::new(0)),
        })
    }
}

#[cached(key = "row:<id>", ttl = 600, tags = ["of-row:<id>"])]
async fn read_row(rows: &Rows, id: usize) -> u64 {
    let version = rows.committed[id].load(Ordering::SeqCst);
    // As an answer on its way back: what was read may be old when it is stored.
    for _ in 0..fastrand::usize(0..4) {
        tokio::task::yield_now().await;
    }
    version
}

#[invalidates("row:<id>")]
async fn write_row(rows: &Rows, id: usize) -> u64 {
    rows.committed[id].fetch_add(1, Ordering::SeqCst) + 1
}

#[invalidates(tags("of-row:<id>"))]
async fn write_row_by_tag(rows: &Rows, id: usize) -> u64 {
    rows.committed[id].fetch_add(1, Ordering::SeqCst) + 1
}

#[invalidates("row:<id>", consistency = "strict")]
async fn write_row_strictly(rows: &Rows, id: usize) -> Result<u64, cache_runtime::Error> {
    tokio::task::yield_now().await;
    Ok(rows.committed[id].fetch_add(1, Ordering::SeqCst) + 1)
}

static STALE: LazyLock<AtomicU64> = LazyLock::new(AtomicU64::default);

async fn reader(cache: Cache, rows: Arc<Rows>, over: Arc<AtomicBool>) -> u64 {
    let mut reads = 0;
    while !over.load(Ordering::Relaxed) {
        let id = fastrand::usize(..KEYS);
        let returned = rows.returned[id].load(Ordering::SeqCst);
        let read = cache.scope(read_row(&rows, id)).await;
        STALE.fetch_add(u64::from(read < returned), Ordering::Relaxed);
        reads += 1;
        if reads % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    reads
}

async fn writer(cache: Cache, rows: Arc<Rows>, over: Arc<AtomicBool>) -> u64 {
    let mut writes = 0;
    while !over.load(Ordering::Relaxed) {
        let id = fastrand::usize(..KEYS);
        let version = match fastrand::u8(..6) {
            0 => match cache.scope(write_row_strictly(&rows, id)).await {
                Ok(version) => version,
                Err(_) => continue,
            },
            1 | 2 => cache.scope(write_row_by_tag(&rows, id)).await,
            _ => cache.scope(write_row(&rows, id)).await,
        };
        rows.returned[id].fetch_max(version, Ordering::SeqCst);
        writes += 1;
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..500))).await;
    }
    writes
}

async fn fault(faults: Faults, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(300..1500))).await;
        faults.set(match fastrand::u8(..4) {
            0 => Fault::Hung,
            1 => Fault::Refusing,
            2 => Fault::Slow(Duration::from_millis(3)),
            _ => Fault::Down,
        });
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..30))).await;
        faults.heal();
    }
}

/// How often it was grown.
async fn grower(rollout: Rollout, over: Arc<AtomicBool>) -> u64 {
    let mut grown = 0;
    while !over.load(Ordering::Relaxed) {
        let share = [0.0, 0.3, 0.7, 1.0, 1.0][fastrand::usize(..5)];
        // Given up, where its own way to the new backend hangs.
        let growing = tokio::time::timeout(Duration::from_millis(50), rollout.grow_to(share));
        grown += u64::from(growing.await.is_ok_and(|grown| grown.is_ok()));
        if fastrand::u8(..8) == 0 {
            let _ = rollout.withdraw().await;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..20))).await;
    }
    grown
}

async fn storm(hosts: Vec<Host>, time: Duration) {
    let (rows, over) = (Rows::new(), Arc::new(AtomicBool::new(false)));
    let (mut counted, mut others) = (JoinSet::new(), JoinSet::new());
    for host in &hosts {
        counted.spawn(reader(host.cache.clone(), rows.clone(), over.clone()));
        counted.spawn(reader(host.cache.clone(), rows.clone(), over.clone()));
        counted.spawn(writer(host.cache.clone(), rows.clone(), over.clone()));
        others.spawn(fault(host.faults.clone(), over.clone()));
    }
    let grown = tokio::spawn(grower(hosts[0].rollout.clone(), over.clone()));
    let sum = |figure: fn(&Host) -> u64| hosts.iter().map(figure).sum::<u64>();
    let hits = || sum(|host| host.rollout.status().new.hits);
    let endings = || sum(|host| host.rollout.status().endings);
    tokio::time::sleep(time).await;
    // And until there was enough of what it is about. The faults come at their times, however little a busy machine gets done in between.
    eventually(DEADLINE * 4, async || hits() > 100 && endings() > 2).await;
    over.store(true, Ordering::Relaxed);
    hosts.iter().for_each(|host| host.faults.heal());
    let done: u64 = counted.join_all().await.into_iter().sum();
    let grown = grown.await.unwrap();
    others.join_all().await;
    let (hits, endings) = (hits(), endings());
    println!(
        "{done} reads and writes, {grown} times grown, {hits} hits in the new backend, {endings} endings"
    );
    assert_eq!(STALE.swap(0, Ordering::Relaxed), 0, "stale reads");
    for host in &hosts {
        assert!(!host.cache.stats().backend.breaker_open);
    }
    // And it goes on from there.
    eventually(DEADLINE, async || {
        hosts[0].rollout.grow_to(1.0).await.is_ok()
    })
    .await;
}

/// Longer by `STORM_SECONDS`.
fn time() -> Duration {
    let seconds = std::env::var("STORM_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|it| it.parse().ok()).unwrap_or(1))
}

async fn hosts(host: impl AsyncFn() -> Host) -> Vec<Host> {
    let mut hosts = Vec::new();
    for _ in 0..3 {
        hosts.push(host().await);
    }
    hosts
}

// One test: the two count stale reads in one place.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_is_older_than_the_last_write_that_had_returned() {
    let stores = Stores::default();
    storm(hosts(async || impatient_host(&stores).await).await, time()).await;
    let (old, new) = (RedisServer::start().await, RedisServer::start().await);
    storm(hosts(async || redis_host(&old, &new).await).await, time()).await;
}

/// Gives up on the new backend soon enough to have trouble with it.
const SOON: Duration = Duration::from_millis(20);

async fn impatient_host(stores: &Stores) -> Host {
    let (new, faults) = Faulty::new(stores.new.clone());
    built(Gradual::builder(stores.old.clone(), new), faults).await
}

async fn redis_host(old: &RedisServer, new: &RedisServer) -> Host {
    let connect = async |server: &RedisServer| {
        let redis = Redis::from_url(&server.url()).unwrap();
        redis.connect().await.unwrap()
    };
    let (new, faults) = Faulty::new(connect(new).await);
    built(Gradual::builder(connect(old).await, new), faults).await
}

async fn built(builder: cache_runtime::backend::GradualBuilder, faults: Faults) -> Host {
    let (backend, rollout) = builder
        .patience(SOON)
        .settle(Duration::ZERO)
        .build()
        .unwrap();
    let cache = Cache::builder()
        .backend(backend)
        .operation_timeout(PATIENCE);
    Host {
        cache: cache.build().await.unwrap(),
        rollout,
        faults,
    }
}
