//! Many writers of a few rows, with PostgreSQL as the database and Redis as the cache of several processes: when all have ended, no cached value
//! differs from its row.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, cached};
use serde::{Deserialize, Serialize};
use tests::{PostgresServer, RedisServer, on_redis};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Statement};

const WRITERS: u64 = 64;
const ROWS: i64 = 8;
/// After each round all is at rest and compared: a wrong value would not outlive the next writes of its row.
const ROUNDS: u64 = 100;
const WRITES: u64 = 16;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    id: i64,
    value: i64,
    version: i64,
}

/// A connection that sends on what it is given without waiting for answers.
struct Connection {
    client: Client,
    update: Statement,
    select: Statement,
}

impl Connection {
    async fn open(server: &PostgresServer) -> Self {
        let client = server.connect().await;
        let update = "UPDATE rows SET value = $2, version = version + 1 WHERE id = $1 RETURNING id, value, version";
        let select = "SELECT id, value, version FROM rows WHERE id = $1";
        Self {
            update: client.prepare(update).await.unwrap(),
            select: client.prepare(select).await.unwrap(),
            client,
        }
    }

    async fn update(&self, id: i64, value: i64) -> Row {
        let row = self.client.query_one(&self.update, &[&id, &value]).await;
        Row::of(&row.unwrap())
    }

    async fn select(&self, id: i64) -> Row {
        let row = self.client.query_one(&self.select, &[&id]).await;
        Row::of(&row.unwrap())
    }
}

impl Row {
    fn of(row: &tokio_postgres::Row) -> Self {
        Self {
            id: row.get(0),
            value: row.get(1),
            version: row.get(2),
        }
    }
}

struct Writer {
    /// Two for all writers, each for half of the rows. With one for each writer the time would go by in the database, with writers that wait
    /// for each other's rows.
    connections: Arc<[Connection; 2]>,
    random: Random,
}

impl Writer {
    async fn update(&self, id: i64) -> Row {
        self.random.pause().await;
        let value = self.random.next() as i64;
        let row = self.connections[id as usize % 2].update(id, value).await;
        self.random.pause().await;
        row
    }

    async fn select(&self, id: i64) -> Row {
        self.random.pause().await;
        let row = self.connections[id as usize % 2].select(id).await;
        self.random.pause().await;
        row
    }
}

/// SplitMix64.
struct Random(AtomicU64);

impl Random {
    fn next(&self) -> u64 {
        let mut mixed = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, SeqCst);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Lets others go first: mostly those that are ready, now and then also those that wait for a server.
    async fn pause(&self) {
        match self.below(16) {
            0 => tokio::time::sleep(Duration::from_micros(500)).await,
            turns => {
                for _ in 0..turns / 4 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

#[cached(key = "row:<id>")]
async fn read(writer: &Writer, id: i64) -> Row {
    writer.select(id).await
}

#[cached(pattern = "write-through", key = "row:<id>")]
async fn by_intents(writer: &Writer, id: i64) -> Row {
    writer.update(id).await
}

#[cached(
    pattern = "write-through",
    key = "row:<id>",
    version = "<return.version>"
)]
async fn by_versions(writer: &Writer, id: i64) -> Row {
    writer.update(id).await
}

#[cached(pattern = "write-through", key = "row:<id>", consistency = "eventual")]
async fn by_nothing(writer: &Writer, id: i64) -> Row {
    writer.update(id).await
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Intents,
    Versions,
    Nothing,
}

impl Order {
    async fn write(self, writer: &Writer, id: i64) {
        match self {
            Self::Intents => by_intents(writer, id).await,
            Self::Versions => by_versions(writer, id).await,
            Self::Nothing => by_nothing(writer, id).await,
        };
    }

    /// One writer's part of a round, with a read now and then.
    async fn take_part(self, writer: Arc<Writer>) {
        for _ in 0..WRITES {
            let id = writer.random.below(ROWS as u64) as i64;
            writer.random.pause().await;
            self.write(&writer, id).await;
            if writer.random.below(8) == 0 {
                let id = writer.random.below(ROWS as u64) as i64;
                read(&writer, id).await;
            }
        }
    }
}

/// What was cached at the ends of all rounds.
#[derive(Debug, Default)]
struct Found {
    cached: u64,
    different: u64,
}

async fn database() -> PostgresServer {
    let server = PostgresServer::start().await;
    let rows = format!(
        "CREATE UNLOGGED TABLE rows (id bigint PRIMARY KEY, value bigint NOT NULL, version bigint NOT NULL) WITH (fillfactor = 10);
         INSERT INTO rows SELECT id, 0, 0 FROM generate_series(0, {ROWS} - 1) AS id"
    );
    server.connect().await.batch_execute(&rows).await.unwrap();
    server
}

async fn race(order: Order, rounds: u64) -> Found {
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let (postgres, redis) = (database().await, RedisServer::start().await);
    let mut caches: Vec<Cache> = Vec::new();
    for _ in 0..4 {
        caches.push(on_redis(&redis).await);
    }
    let connections = [
        Connection::open(&postgres).await,
        Connection::open(&postgres).await,
    ];
    let connections = Arc::new(connections);
    let writer = |number: u64| {
        Arc::new(Writer {
            connections: Arc::clone(&connections),
            random: Random(AtomicU64::new(seed ^ (number << 48))),
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    let (mut found, began) = (Found::default(), Instant::now());
    for _ in 0..rounds {
        let mut round = JoinSet::new();
        for (writer, cache) in writers.iter().zip(caches.iter().cycle()) {
            round.spawn(cache.scope(order.take_part(Arc::clone(writer))));
        }
        round.join_all().await;
        compare(&connections[0], &caches[0], &mut found).await;
    }
    let (writes, took) = (rounds * WRITERS * WRITES, began.elapsed());
    println!("{order:?}, seed {seed}: {writes} writes in {took:.1?}, {found:?}");
    found
}

async fn compare(connection: &Connection, cache: &Cache, found: &mut Found) {
    for id in 0..ROWS {
        let Some(cached) = cache.scope(read::peek(id)).await else {
            continue;
        };
        found.cached += 1;
        found.different += u64::from(cached != connection.select(id).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_intents_no_cached_value_differs_from_its_row() {
    let found = race(Order::Intents, ROUNDS).await;
    assert!(found.cached > 0, "nothing was ever cached: {found:?}");
    assert_eq!(found.different, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_versions_no_cached_value_differs_from_its_row() {
    let found = race(Order::Versions, ROUNDS).await;
    assert!(found.cached > 0, "nothing was ever cached: {found:?}");
    assert_eq!(found.different, 0);
}

/// The proof that the tests above would see a wrong value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_neither_some_do() {
    let found = race(Order::Nothing, ROUNDS / 5).await;
    assert!(found.different > 0, "{found:?}");
}
