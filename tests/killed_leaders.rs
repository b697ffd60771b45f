//! Leaders in processes that are killed or stopped, in every mode: the lease is all that others wait for, loads stay one at a time, and
//! a leader that wakes up stores nothing over what came after it.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, cached};
use redis::aio::MultiplexedConnection;
use tests::{DEADLINE, Gate, Process, RedisServer, eventually, on_redis, once_begun, within};
use tokio::task::JoinHandle;

/// How long a leader's lease lives where others have to wait for its end. Their own patience is an hour.
const SHORT: Duration = Duration::from_secs(1);
/// As long as nobody could wait here.
const LONG: Duration = Duration::from_secs(3600);

/// The lease of the entry under test, as the server names it.
const STATE: &str = "{cache:item:7}/s";

/// A loader that waits at a gate of its process. The server counts the loads of all processes.
#[derive(Clone)]
struct Source {
    gate: Gate,
    /// Calls of this process that have looked into the cache, or sent it their question.
    begun: Arc<AtomicUsize>,
    counts: MultiplexedConnection,
}

impl Source {
    async fn new(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self {
            gate: Gate::new(),
            begun: Arc::default(),
            counts: client.get_multiplexed_async_connection().await.unwrap(),
        }
    }

    /// Its result is the number of the load, from 1.
    async fn load(&self, ids: &[u64]) -> u64 {
        const BEGIN: &str = "
            for _, id in ipairs(ARGV) do
              redis.call('HINCRBY', 'loads', id, 1)
              local running = redis.call('HINCRBY', 'running', id, 1)
              local most = tonumber(redis.call('GET', 'most') or 0)
              if running > most then redis.call('SET', 'most', running) end
            end
            local time = redis.call('TIME')
            return redis.call('RPUSH', 'began', time[1] * 1000 + math.floor(time[2] / 1000))";
        let number = self.run(BEGIN, ids).await;
        self.gate.pass().await;
        self.ended(ids).await;
        number
    }

    /// Counts a load as no longer running: at its end, or because its process does nothing any more.
    async fn ended(&self, ids: &[u64]) {
        const END: &str =
            "for _, id in ipairs(ARGV) do redis.call('HINCRBY', 'running', id, -1) end return 0";
        self.run(END, ids).await;
    }

    async fn run(&self, script: &str, ids: &[u64]) -> u64 {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(0).arg(ids);
        self.query(&command).await
    }

    async fn query<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        command.query_async(&mut self.counts.clone()).await.unwrap()
    }

    async fn loads(&self) -> u64 {
        self.query(redis::cmd("LLEN").arg("began")).await
    }

    async fn most_at_once(&self) -> u64 {
        self.query(redis::cmd("GET").arg("most")).await
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A mode, as the tests use it: a call, what is stored, and how many fills were refused.
struct Mode {
    /// What the leader's call loads; the server tells the lease of 7.
    ids: &'static [u64],
    call: fn(Source) -> Boxed<u64>,
    stored: fn() -> Boxed<Option<u64>>,
    refused: fn(&Cache) -> u64,
}

impl Mode {
    fn spawn(&self, cache: &Cache, source: &Source) -> JoinHandle<u64> {
        let begun = Arc::clone(&source.begun);
        let call = (self.call)(source.clone());
        tokio::spawn(cache.scope(once_begun(call, move || {
            begun.fetch_add(1, SeqCst);
        })))
    }

    fn spawn_many(&self, cache: &Cache, source: &Source, count: usize) -> Vec<JoinHandle<u64>> {
        (0..count).map(|_| self.spawn(cache, source)).collect()
    }

    /// Calls until a load stands at the gate of this process.
    async fn until_loading(&self, cache: &Cache, source: &Source) -> Vec<JoinHandle<u64>> {
        let mut calls = Vec::new();
        let deadline = std::time::Instant::now() + DEADLINE;
        while source.gate.count() == 0 {
            assert!(std::time::Instant::now() < deadline, "no load came");
            let call = self.spawn(cache, source);
            let came = async || source.gate.count() > 0 || call.is_finished();
            eventually(DEADLINE, came).await;
            calls.push(call);
        }
        calls
    }

    async fn stored(&self, cache: &Cache) -> Option<u64> {
        cache.scope((self.stored)()).await
    }
}

async fn all(calls: Vec<JoinHandle<u64>>) -> Vec<u64> {
    let mut results = Vec::new();
    for call in calls {
        results.push(within(call).await.unwrap());
    }
    results
}

/// The other process: leads a load, with others of its own that join it, and goes on when it is told to.
async fn lead(mode: &Mode) {
    let (url, lease) = (env::var("URL").unwrap(), env::var("LEASE").unwrap());
    let builder = Cache::builder().url(&url).unwrap();
    let cache = builder
        .operation_timeout(DEADLINE)
        .lease_ttl(Duration::from_millis(lease.parse().unwrap()))
        .build()
        .await
        .unwrap();
    let source = Source::new(&url).await;
    let calls = mode.until_loading(&cache, &source).await;
    let joiners = env::var("JOINERS").unwrap().parse().unwrap();
    let joiners = mode.spawn_many(&cache, &source, joiners);
    let all_begun = calls.len() + joiners.len();
    eventually(DEADLINE, async || source.begun.load(SeqCst) == all_begun).await;
    Process::say("loading");
    tokio::task::spawn_blocking(Process::listen).await.unwrap();
    source.gate.open();
    let results = all(calls).await;
    eventually(DEADLINE, async || (mode.refused)(&cache) > 0).await;
    Process::say(&format!("{results:?}"));
    Process::say(&format!("{:?}", all(joiners).await));
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Killed,
    Stopped,
}

/// A server, a leader in a process of its own, and two caches that are as two more processes.
struct Stage {
    source: Source,
    caches: [Cache; 2],
    leader: Process,
    /// Ends when it is dropped.
    _server: RedisServer,
}

impl Stage {
    /// Without a value: the leader's load is the first. `test` is the path of the test.
    async fn new(test: &str, lease: Duration, joiners: u32) -> Self {
        let server = RedisServer::start().await;
        Self::on(server, test, lease, joiners).await
    }

    /// Load 1 has stored its value, and the leader is to replace it by load 2.
    async fn with_a_value(mode: &Mode, test: &str) -> Self {
        let server = RedisServer::start().await;
        let source = Source::new(&server.url()).await;
        let first = mode.until_loading(&on_redis(&server).await, &source).await;
        source.gate.open();
        assert_eq!(all(first).await, [1]);
        Self::on(server, test, LONG, 0).await
    }

    async fn on(server: RedisServer, test: &str, lease: Duration, joiners: u32) -> Self {
        let (url, lease) = (server.url(), lease.as_millis().to_string());
        let variables = [
            ("URL", &url[..]),
            ("LEASE", &lease),
            ("JOINERS", &joiners.to_string()),
        ];
        let (_, test) = test.split_once("::").unwrap();
        let mut leader = Process::spawn(test, "leader", &variables);
        assert_eq!(leader.hear().await, "loading");
        Self {
            source: Source::new(&url).await,
            caches: [on_redis(&server).await, on_redis(&server).await],
            leader,
            _server: server,
        }
    }

    async fn befall(&mut self, mode: &Mode, fault: Fault) {
        match fault {
            Fault::Killed => self.leader.kill().await,
            Fault::Stopped => self.leader.pause(),
        }
        self.source.ended(mode.ids).await;
    }

    /// The stopped leader goes on, and its fill is refused: what its callers got.
    async fn wake(&mut self, mode: &Mode) -> String {
        // What it counts at its end was counted when it was stopped.
        for id in mode.ids {
            let mut back = redis::cmd("HINCRBY");
            back.arg("running").arg(id).arg(1);
            let () = self.source.query(&back).await;
        }
        self.leader.resume();
        self.leader.tell("go on").await;
        self.leader.hear().await
    }

    /// The lease as the server has it: its token, and a `w` if anybody waits for its end.
    async fn lease(&self) -> String {
        self.source.query(redis::cmd("GET").arg(STATE)).await
    }

    /// When the lease ends if it is not renewed again, by the server's clock; rather a moment too soon.
    async fn expiry(&self) -> u64 {
        let (seconds, micros): (u64, u64) = self.source.query(&redis::cmd("TIME")).await;
        let left: u64 = self.source.query(redis::cmd("PTTL").arg(STATE)).await;
        seconds * 1000 + micros / 1000 + left
    }

    /// The rest of the lease's life passes.
    async fn end_lease(&self) {
        let () = self.source.query(redis::cmd("DEL").arg(STATE)).await;
    }

    fn calls(&self, mode: &Mode, count: usize) -> Vec<JoinHandle<u64>> {
        let spawn = |cache| mode.spawn_many(cache, &self.source, count);
        self.caches.iter().flat_map(spawn).collect()
    }
}

macro_rules! tests {
    ($($test:ident: $story:ident($fault:ident);)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if Process::role().is_some() {
                    return lead(&MODE).await;
                }
                let path = concat!(module_path!(), "::", stringify!($test));
                $story(&MODE, path, Fault::$fault).await;
            }
        )*
    };
}

mod batch {
    use super::*;

    #[cached(key = "item:<ids[]>", ttl = "1h")]
    async fn items(source: &Source, ids: &[u64]) -> HashMap<u64, u64> {
        let load = source.load(ids).await;
        ids.iter().map(|id| (*id, load)).collect()
    }

    /// Its entries are those of the batch.
    #[cached(key = "item:<id>", ttl = "1h")]
    async fn item(id: u64) -> Option<u64> {
        Some(id)
    }

    const MODE: Mode = Mode {
        ids: &[7],
        call: |source| Box::pin(async move { items(&source, &[7]).await[&7] }),
        stored: || Box::pin(async { item::peek(7).await.flatten() }),
        refused: |cache| cache.stats().function(items::SPEC).rejected_fills,
    };

    tests! {
        a_killed_leader_is_followed_when_its_lease_ends: next_in_line(Killed);
        a_stopped_leader_is_followed_when_its_lease_ends_and_refused_when_it_wakes_up: next_in_line(Stopped);
    }

    mod several {
        use super::*;

        const MODE: Mode = Mode {
            ids: &[7, 8, 9],
            call: |source| Box::pin(async move { items(&source, &[7, 8, 9]).await[&7] }),
            ..super::MODE
        };

        tests! {
            each_element_of_a_killed_leader_is_taken_over_when_its_lease_ends: each_element_is_taken_over(Killed);
            each_element_of_a_stopped_leader_is_taken_over_when_its_lease_ends: each_element_is_taken_over(Stopped);
        }
    }

    /// By one of those who want it; what is nobody's is loaded meanwhile.
    async fn each_element_is_taken_over(mode: &Mode, test: &str, fault: Fault) {
        let mut stage = Stage::new(test, SHORT, 0).await;
        // Two that only wait, and two that have something to load before.
        let wanted: [&'static [u64]; 4] = [&[8, 9], &[9, 7], &[4, 7, 8], &[5, 9]];
        let caches = stage.caches.iter().cycle();
        let calls: Vec<_> = wanted
            .into_iter()
            .zip(caches)
            .map(|(ids, cache)| {
                let source = stage.source.clone();
                tokio::spawn(cache.scope(async move { items(&source, ids).await }))
            })
            .collect();
        stage.source.gate.arrived(2).await;
        let expiry = stage.expiry().await;
        stage.befall(mode, fault).await;
        stage.source.gate.open();
        for (call, ids) in calls.into_iter().zip(wanted) {
            let found = within(call).await.unwrap();
            assert_eq!(found.len(), ids.len());
            assert!(ids.iter().all(|id| found[id] > 1));
        }
        let loads: BTreeMap<u64, u64> =
            stage.source.query(redis::cmd("HGETALL").arg("loads")).await;
        assert_eq!(
            loads,
            BTreeMap::from([(4, 1), (5, 1), (7, 2), (8, 2), (9, 2)])
        );
        assert_eq!(stage.source.most_at_once().await, 1);
        let began: u64 = stage
            .source
            .query(redis::cmd("LINDEX").arg("began").arg(3))
            .await;
        assert!(began >= expiry, "before the lease had ended");
        if fault == Fault::Stopped {
            let stored = mode.stored(&stage.caches[0]).await;
            assert!(stored.is_some_and(|load| load > 1));
            assert_eq!(stage.wake(mode).await, "[1]", "its own result");
            assert_eq!(mode.stored(&stage.caches[0]).await, stored);
        }
    }
}

macro_rules! mode {
    ($name:ident($($arguments:tt)*), $($test:ident: $story:ident($fault:ident);)*) => {
        mod $name {
            use super::*;

            #[cached(key = "item:<id>", ttl = "1h", $($arguments)*)]
            async fn item(source: &Source, id: u64) -> u64 {
                source.load(&[id]).await
            }

            const MODE: Mode = Mode {
                ids: &[7],
                call: |source| Box::pin(async move { item(&source, 7).await }),
                stored: || Box::pin(item::peek(7)),
                refused: |cache| cache.stats().function(item::SPEC).rejected_fills,
            };

            tests!($($test: $story($fault);)*);
        }
    };
}

mode! {
    none(stampede = "none"),
    a_killed_leader_keeps_nobody_waiting: nobody_waits(Killed);
    a_stopped_leader_keeps_nobody_waiting_and_is_refused_when_it_wakes_up: nobody_waits(Stopped);
}

mode! {
    lock(stampede = "lock"),
    a_killed_leader_is_followed_when_its_lease_ends: next_in_line(Killed);
    a_stopped_leader_is_followed_when_its_lease_ends_and_refused_when_it_wakes_up: next_in_line(Stopped);
}

mode! {
    early(stampede = "early", beta = 1e12),
    a_killed_leader_is_followed_when_its_lease_ends: next_in_line(Killed);
    a_stopped_leader_is_followed_when_its_lease_ends_and_refused_when_it_wakes_up: next_in_line(Stopped);
    a_killed_early_leader_keeps_nobody_waiting: nobody_waits_for_early(Killed);
    a_stopped_early_leader_keeps_nobody_waiting_and_is_refused_when_it_wakes_up: nobody_waits_for_early(Stopped);
}

mode! {
    lock_and_early(stampede = "lock+early", beta = 1e12),
    a_killed_leader_is_followed_when_its_lease_ends: next_in_line(Killed);
    a_stopped_leader_is_followed_when_its_lease_ends_and_refused_when_it_wakes_up: next_in_line(Stopped);
    a_killed_early_leader_is_followed_when_its_lease_ends: next_refresh(Killed);
    a_stopped_early_leader_is_followed_when_its_lease_ends_and_refused_when_it_wakes_up: next_refresh(Stopped);
}

mode! {
    swr(stampede = "swr", refresh_after = "1ms"),
    a_killed_leader_is_followed_when_its_lease_ends: next_in_line(Killed);
    a_stopped_leader_is_followed_when_its_lease_ends_and_refused_when_it_wakes_up: next_in_line(Stopped);
    a_killed_refresh_is_followed_when_its_lease_ends: next_refresh(Killed);
    a_stopped_refresh_is_followed_when_its_lease_ends_and_refused_when_it_wakes_up: next_refresh(Stopped);
}

/// Without a value: those who wait share one more load, as soon as the lease ends and no sooner.
async fn next_in_line(mode: &Mode, test: &str, fault: Fault) {
    let mut stage = Stage::new(test, SHORT, 3).await;
    let waiters = stage.calls(mode, 10);
    // Somebody waits for its end.
    eventually(DEADLINE, async || stage.lease().await.ends_with('w')).await;
    assert_eq!(stage.source.loads().await, 1);
    let expiry = stage.expiry().await;
    stage.befall(mode, fault).await;
    stage.source.gate.arrived(1).await;
    let began: u64 = stage
        .source
        .query(redis::cmd("LINDEX").arg("began").arg(1))
        .await;
    assert!(began >= expiry, "before the lease had ended");
    if fault == Fault::Stopped {
        let lease = stage.lease().await;
        assert_eq!(stage.wake(mode).await, "[1]", "its own result");
        assert_eq!(mode.stored(&stage.caches[0]).await, None);
        assert_eq!(stage.lease().await[..32], lease[..32]);
    }
    assert_eq!(stage.source.loads().await, 2);
    stage.source.gate.open();
    assert_eq!(all(waiters).await, [2; 20]);
    assert_eq!(stage.source.most_at_once().await, 1);
    assert_eq!(mode.stored(&stage.caches[1]).await, Some(2));
    if fault == Fault::Stopped {
        // Those who had joined it in time may have its result.
        let joined = stage.leader.hear().await;
        assert!(!joined.contains(['3', '4', '5']), "{joined}");
    }
}

/// Without a value, in a mode without a lock: each loads for itself, and stores once the lease has ended.
async fn nobody_waits(mode: &Mode, test: &str, fault: Fault) {
    let stage = Stage::new(test, LONG, 0).await;
    each_for_itself(mode, stage, None, fault).await;
}

/// With a value that is drawn to be replaced, in a mode without a lock: the same.
async fn nobody_waits_for_early(mode: &Mode, test: &str, fault: Fault) {
    let stage = Stage::with_a_value(mode, test).await;
    each_for_itself(mode, stage, Some(1), fault).await;
}

async fn each_for_itself(mode: &Mode, mut stage: Stage, before: Option<u64>, fault: Fault) {
    stage.befall(mode, fault).await;
    stage.source.gate.open();
    let loads = stage.source.loads().await;
    let mut results = all(stage.calls(mode, 10)).await;
    results.sort_unstable();
    assert!(results.into_iter().eq(loads + 1..=loads + 20));
    assert_eq!(mode.stored(&stage.caches[0]).await, before);
    stage.end_lease().await;
    let next = all(vec![mode.spawn(&stage.caches[0], &stage.source)]).await;
    assert_eq!(mode.stored(&stage.caches[0]).await, Some(next[0]));
    if fault == Fault::Stopped {
        stage.wake(mode).await;
        assert_eq!(mode.stored(&stage.caches[0]).await, Some(next[0]));
    }
}

/// With a value that is to be replaced: everybody has it for as long as the lease lives, and then another replaces it.
async fn next_refresh(mode: &Mode, test: &str, fault: Fault) {
    let mut stage = Stage::with_a_value(mode, test).await;
    stage.befall(mode, fault).await;
    assert_eq!(all(stage.calls(mode, 50)).await, [1; 100], "nobody waits");
    assert_eq!(stage.source.loads().await, 2);
    stage.end_lease().await;
    let calls = mode.until_loading(&stage.caches[0], &stage.source).await;
    assert_eq!(all(stage.calls(mode, 50)).await, [1; 100], "nobody waits");
    if fault == Fault::Stopped {
        stage.wake(mode).await;
        assert_eq!(mode.stored(&stage.caches[0]).await, Some(1));
    }
    assert_eq!(stage.source.loads().await, 3);
    stage.source.gate.open();
    assert!(all(calls).await.iter().all(|value| [1, 3].contains(value)));
    eventually(DEADLINE, async || {
        mode.stored(&stage.caches[1]).await == Some(3)
    })
    .await;
    assert_eq!(stage.source.most_at_once().await, 1);
}
