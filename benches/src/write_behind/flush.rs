//! `flush`: pending writes of many keys are brought into PostgreSQL, by statements for many keys and by one for each.
//!
//! Each key has one write, so nothing is folded: the two differ by the number of statements alone. PostgreSQL runs as it is installed, with
//! `fsync` and `synchronous_commit` on, and each subject has the same connections. The time is that of a worker that starts on a full log:
//! from its beginning until nothing is pending.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Error, Write, cached};
use tests::{PostgresServer, RedisServer};
use tokio_postgres::{Client, Statement};

use super::{connection, empty, logging_only, on_tasks};
use crate::report::{Over, Report, progress};

/// As large a pool as many services have.
const CONNECTIONS: usize = 8;
const BATCHED: i64 = 50_000;
const SINGLE: i64 = 5_000;
const ROUNDS: usize = 5;

#[derive(Clone)]
struct Db {
    sessions: Arc<Vec<Session>>,
    next: Arc<AtomicUsize>,
}

struct Session {
    client: Client,
    many: Statement,
    one: Statement,
}

#[derive(Debug)]
struct DbError(String);

impl std::fmt::Display for DbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(error.to_string())
    }
}

impl Db {
    async fn connect(server: &PostgresServer) -> Self {
        let mut sessions = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = server.connect().await;
            let ready = "the table is there";
            let many = client.prepare(&statement(MANY)).await.expect(ready);
            let one = client.prepare(&statement(ONE)).await.expect(ready);
            sessions.push(Session { client, many, one });
        }
        Self {
            sessions: Arc::new(sessions),
            next: Arc::default(),
        }
    }

    /// The connections in turn.
    fn session(&self) -> &Session {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.sessions[turn % self.sessions.len()]
    }

    async fn count(&self, page: i64, views: i64, sequence: i64) -> Result<(), DbError> {
        let Session { client, one, .. } = self.session();
        client.execute(one, &[&page, &views, &sequence]).await?;
        Ok(())
    }
}

const MANY: &str = "SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[])";
const ONE: &str = "VALUES ($1, $2, $3)";

/// A write that PostgreSQL has already is left out.
fn statement(rows: &str) -> String {
    format!(
        "INSERT INTO pages {rows}
         ON CONFLICT (page) DO UPDATE SET views = pages.views + excluded.views, sequence = excluded.sequence
         WHERE pages.sequence < excluded.sequence"
    )
}

fn add(sum: &mut i64, more: i64) {
    *sum += more;
}

#[cached(
    pattern = "write-behind",
    key = "batched:<page>",
    merge = add,
    flush = "1h",
    max_pending = 1_000_000,
    batch_with = count_all
)]
async fn batched(
    #[context] db: &Db,
    page: i64,
    views: i64,
    #[sequence] sequence: i64,
) -> Result<(), DbError> {
    db.count(page, views, sequence).await
}

async fn count_all(db: &Db, writes: Vec<Write<(i64, i64)>>) -> Result<(), DbError> {
    let (mut pages, mut views, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
    for write in writes {
        pages.push(write.args.0);
        views.push(write.args.1);
        sequences.push(write.sequence as i64);
    }
    let Session { client, many, .. } = db.session();
    client.execute(many, &[&pages, &views, &sequences]).await?;
    Ok(())
}

#[cached(pattern = "write-behind", key = "single:<page>", merge = add, flush = "1h", max_pending = 1_000_000)]
async fn single(
    #[context] db: &Db,
    page: i64,
    views: i64,
    #[sequence] sequence: i64,
) -> Result<(), DbError> {
    db.count(page, views, sequence).await
}

pub(super) async fn measure(report: &mut Report) {
    let redis = RedisServer::start().await;
    let postgres = PostgresServer::builder().durable().start().await;
    let admin = postgres.connect().await;
    admin
        .batch_execute("CREATE TABLE pages (page BIGINT PRIMARY KEY, views BIGINT NOT NULL, sequence BIGINT NOT NULL)")
        .await
        .expect("a new database");
    let db = Db::connect(&postgres).await;
    let (logging, raw) = (logging_only(&redis).await, connection(&redis).await);
    for round in 1..=ROUNDS {
        for (subject, writes) in [("batched", BATCHED), ("single", SINGLE)] {
            progress(&format!("flush: round {round} of {ROUNDS}, {subject}"));
            empty(raw.clone()).await;
            admin
                .batch_execute("TRUNCATE pages")
                .await
                .expect("a table");
            append(&logging, subject, writes).await;
            let took = flush(&redis, &db, writes as u64).await;
            let counted = admin
                .query_one("SELECT count(*) FROM pages WHERE views = 1", &[])
                .await;
            assert_eq!(counted.expect("a table").get::<_, i64>(0), writes);
            let rate = writes as f64 / took.as_secs_f64();
            report.add("flush", subject, "writes/s", Over::Median, rate);
        }
    }
}

async fn append(cache: &Cache, subject: &'static str, writes: i64) {
    let cache = cache.clone();
    on_tasks((0..writes).collect(), move |page| {
        let cache = cache.clone();
        async move {
            let logged = match subject {
                "batched" => cache.scope(batched(page, 1)).await,
                _ => cache.scope(single(page, 1)).await,
            };
            logged.expect("it is logged");
        }
    })
    .await;
}

/// How long a worker takes to run all that is pending.
async fn flush(redis: &RedisServer, db: &Db, writes: u64) -> Duration {
    let began = Instant::now();
    let cache = Cache::builder()
        .url(&redis.url())
        .expect("a valid url")
        .provide(db.clone())
        .build()
        .await
        .expect("the server runs");
    let report = cache.flush_now().await.expect("the server runs");
    let took = began.elapsed();
    assert_eq!((report.remaining, report.failed), (0, 0), "{report:?}");
    cache.shutdown(Duration::from_secs(10)).await;
    assert_eq!(cache.stats().write_behind.written, writes);
    took
}
