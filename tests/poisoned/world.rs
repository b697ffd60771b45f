//! Functions of every sort on one cache, and what is asked of them whatever Redis holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::bus::RedisBus;
use cache_runtime::{BusOptions, Cache, Error, WriteBehind, cached, invalidates};
use redis::{Cmd, Value, cmd};
use tests::{DEADLINE, PATIENCE, RedisServer, eventually, within};

/// A database with one number, which all rows show.
#[derive(Debug, Clone, Default)]
pub(crate) struct Database {
    number: Arc<AtomicU64>,
    loads: Arc<AtomicU64>,
    behind: Arc<AtomicU64>,
}

impl Database {
    fn load(&self, _: u64) -> u64 {
        self.loads.fetch_add(1, SeqCst);
        self.now()
    }

    pub(crate) fn now(&self) -> u64 {
        self.number.load(SeqCst)
    }

    fn change(&self, _: u64) -> u64 {
        self.number.fetch_add(1, SeqCst) + 1
    }

    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }
}

#[cached(key = "item:<id>", ttl = 3600)]
pub(crate) async fn item(database: &Database, id: u64) -> u64 {
    database.load(id)
}

#[cached(key = "tagged:<id>", ttl = 3600, tags = ["org:<org>"])]
pub(crate) async fn tagged(database: &Database, org: u64, id: u64) -> u64 {
    let _ = org;
    database.load(id)
}

#[cached(key = "item:<id>", ttl = 3600, consistency = "strict")]
pub(crate) async fn strict(database: &Database, id: u64) -> u64 {
    database.load(id)
}

#[cached(key = "many:<ids[]>", ttl = 3600)]
pub(crate) async fn many(database: &Database, ids: &[u64]) -> std::collections::HashMap<u64, u64> {
    let number = database.load(0);
    ids.iter().map(|id| (*id, number)).collect()
}

#[invalidates("item:<id>", "many:<id>", tags("org:<org>"))]
pub(crate) async fn change(database: &Database, org: u64, id: u64) {
    let _ = org;
    database.change(id);
}

#[cached(pattern = "write-through", key = "item:<id>", ttl = 3600)]
pub(crate) async fn write_through(database: &Database, id: u64) -> Result<u64, Error> {
    Ok(database.change(id))
}

#[cached(
    pattern = "write-through",
    key = "item:<id>",
    ttl = 3600,
    version = "<return>"
)]
pub(crate) async fn versioned(database: &Database, id: u64) -> Result<u64, Error> {
    Ok(database.change(id))
}

#[cached(
    pattern = "write-behind",
    key = "behind:<id>",
    value = none,
    flush = "10ms"
)]
pub(crate) async fn behind(#[context] database: &Database, id: u64, by: u64) -> Result<(), Error> {
    let _ = id;
    database.behind.fetch_add(by, SeqCst);
    Ok(())
}

/// A cache with everything on, beside one that reads only, on a server of its own.
pub(crate) struct World {
    pub(crate) server: RedisServer,
    pub(crate) cache: Cache,
    pub(crate) database: Database,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::patient(PATIENCE).await
    }

    /// With so much time for an operation.
    pub(crate) async fn patient(operation: Duration) -> Self {
        let server = RedisServer::start().await;
        let database = Database::default();
        let bus = RedisBus::from_url(&server.url()).unwrap();
        let quick = WriteBehind::new().backoff(Duration::from_millis(1), Duration::from_millis(20));
        let builder = Cache::builder().url(&server.url()).unwrap();
        let builder = builder.operation_timeout(operation);
        let builder = builder.bus(bus.connect().await.unwrap(), "here").unwrap();
        let builder = builder.bus_options(BusOptions::new().trim_every(Duration::from_millis(20)));
        let builder = builder.write_behind(quick).provide(database.clone());
        let cache = builder.build().await.unwrap();
        Self {
            server,
            cache,
            database,
        }
    }

    /// Another region on the same bus, with a server of its own.
    pub(crate) async fn on_bus_of(other: &Self) -> Self {
        let server = RedisServer::start().await;
        let bus = RedisBus::from_url(&other.server.url()).unwrap();
        let builder = Cache::builder().url(&server.url()).unwrap();
        let builder = builder.operation_timeout(PATIENCE);
        let builder = builder.bus(bus.connect().await.unwrap(), "there").unwrap();
        let builder = builder.bus_options(BusOptions::new().trim_every(Duration::from_millis(20)));
        Self {
            server,
            cache: builder.build().await.unwrap(),
            database: other.database.clone(),
        }
    }

    /// Waits until a change over there is seen here.
    pub(crate) async fn hears_of(&self, other: &Self) {
        let (here, there) = (&self.cache, &other.cache);
        within(here.scope(item(&self.database, 5))).await;
        within(there.scope(change(&self.database, 7, 5))).await;
        eventually(DEADLINE, || async {
            within(here.scope(item(&self.database, 5))).await == self.database.now()
        })
        .await;
    }

    pub(crate) async fn run(&self, command: &Cmd) -> Value {
        self.server.query(command).await
    }

    /// Puts it in the place of whatever is there.
    pub(crate) async fn poison(&self, name: &str, make: Cmd) {
        let mut replace = redis::pipe();
        replace
            .atomic()
            .del(name)
            .ignore()
            .add_command(make)
            .ignore();
        let () = replace
            .query_async(&mut self.server.connection().await)
            .await
            .expect("the server knows the command");
    }

    /// Every sort of call, each of which must say what the database says.
    pub(crate) async fn call_all(&self, id: u64) {
        let Self {
            cache, database, ..
        } = self;
        within(cache.scope(async {
            for _ in 0..2 {
                assert_eq!(item(database, id).await, database.now(), "item");
                assert_eq!(tagged(database, 7, id).await, database.now(), "tagged");
                assert_eq!(strict(database, id).await, database.now(), "strict");
                let all = many(database, &[id, id + 1]).await;
                assert_eq!(all[&id], database.now(), "many");
            }
            // The other of the batch was not invalidated.
            change(database, 7, id).await;
            assert_eq!(item(database, id).await, database.now(), "changed");
            assert_eq!(tagged(database, 7, id).await, database.now(), "by its tag");
            assert_eq!(many(database, &[id]).await[&id], database.now(), "of many");
            write_through(database, id).await.unwrap();
            assert_eq!(item(database, id).await, database.now(), "through");
            versioned(database, id).await.unwrap();
            assert_eq!(strict(database, id).await, database.now(), "versioned");
            change(database, 7, id).await;
            many::invalidate(&[id + 1]).await.unwrap();
        }))
        .await;
    }

    /// A write that is acknowledged reaches its body.
    pub(crate) async fn write_behind(&self, id: u64) {
        let before = self.database.behind.load(SeqCst);
        let logged = self.cache.scope(behind(id, 1)).await;
        logged.expect("the log takes it");
        let written = || async { self.database.behind.load(SeqCst) > before };
        eventually(DEADLINE, written).await;
    }

    /// Waits until the entry is stored and hit again.
    pub(crate) async fn healed(&self, id: u64) {
        let Self {
            cache, database, ..
        } = self;
        eventually(DEADLINE, || async {
            within(cache.scope(item(database, id))).await;
            within(cache.scope(tagged(database, 7, id))).await;
            let loads = database.loads();
            within(cache.scope(item(database, id))).await;
            within(cache.scope(tagged(database, 7, id))).await;
            database.loads() == loads && !cache.stats().backend.breaker_open
        })
        .await;
    }
}

/// A command that makes a key of this name.
pub(crate) fn command(words: &[&str], name: &str) -> Cmd {
    let mut command = cmd(words[0]);
    command.arg(name);
    command.arg(&words[1..]);
    command
}
