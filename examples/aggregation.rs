//! A hundred thousand views of a hundred pages, counted in PostgreSQL by a few hundred statements, and each exactly once.
//!
//! ```text
//! DATABASE_URL=postgres://postgres@localhost/postgres cargo run --release --example aggregation
//! ```
//!
//! `CACHE_URL=redis://127.0.0.1/` keeps the pending views in Redis, where they outlive this process. Without it they are in memory.

use std::env;
use std::process::{ExitCode, id};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, Write, cached};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

const VIEWS: u64 = 100_000;
const PAGES: i64 = 100;
const TASKS: u64 = 64;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Cache(#[from] cache_runtime::Error),
}

/// One more view of a page. The call returns once the view is in the log; the body runs later, for all views of the page since the last time.
#[cached(pattern = "write-behind", key = "page:<page>", merge = add, flush = "5s", batch = 1000, batch_with = count_all)]
async fn count(
    #[context] db: &Db,
    page: i64,
    views: i64,
    #[sequence] sequence: i64,
) -> Result<(), Error> {
    db.add(&[page], &[views], &[sequence]).await
}

/// Makes one pending write of two.
fn add(views: &mut i64, more: i64) {
    *views += more;
}

/// The same for many pages at once.
async fn count_all(db: &Db, writes: Vec<Write<(i64, i64)>>) -> Result<(), Error> {
    let pages: Vec<i64> = writes.iter().map(|write| write.args.0).collect();
    let views: Vec<i64> = writes.iter().map(|write| write.args.1).collect();
    let sequences: Vec<i64> = writes.iter().map(|write| write.sequence as i64).collect();
    db.add(&pages, &views, &sequences).await
}

/// A write whose worker died before it could say that it was done is run again, with the same views and the same sequence number. The
/// page has that number by then, and is left as it is. To add and to remember the number is one statement, so that nothing comes between.
const ADD: &str = "\
    INSERT INTO pages (page, views, sequence)
    SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[])
    ON CONFLICT (page) DO UPDATE
        SET views = pages.views + excluded.views, sequence = excluded.sequence
        WHERE pages.sequence < excluded.sequence";

#[derive(Clone)]
struct Db {
    client: Arc<Client>,
    add: Statement,
    executed: Arc<AtomicU64>,
}

impl Db {
    async fn connect(url: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        // What goes wrong with the connection is told by the next statement.
        tokio::spawn(async move { drop(connection.await) });
        // It goes with the connection: this program leaves nothing in your database.
        let table = "CREATE TEMPORARY TABLE pages (page BIGINT PRIMARY KEY, views BIGINT NOT NULL, sequence BIGINT NOT NULL)";
        client.batch_execute(table).await?;
        Ok(Self {
            add: client.prepare(ADD).await?,
            client: Arc::new(client),
            executed: Arc::default(),
        })
    }

    async fn add(&self, pages: &[i64], views: &[i64], sequences: &[i64]) -> Result<(), Error> {
        self.executed.fetch_add(1, Ordering::Relaxed);
        let rows: [&(dyn ToSql + Sync); 3] = [&pages, &views, &sequences];
        self.client.execute(&self.add, &rows).await?;
        Ok(())
    }

    async fn views_of(&self, page: i64) -> Result<i64, Error> {
        let select = "SELECT coalesce(max(views), 0) FROM pages WHERE page = $1";
        Ok(self.client.query_one(select, &[&page]).await?.get(0))
    }
}

/// Some pages are viewed more often than others.
fn page_of(view: u64) -> i64 {
    let view = view as i64;
    view % (view % PAGES + 1)
}

async fn view_pages(first: u64) -> Result<(), Error> {
    for view in (first..VIEWS).step_by(TASKS as usize) {
        count(page_of(view), 1).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    let Ok(url) = env::var("DATABASE_URL") else {
        eprintln!("{NO_DATABASE}");
        return Ok(ExitCode::from(2));
    };
    let db = Db::connect(&url).await?;
    let cache = Cache::builder()
        .env()?
        // Of this run alone: the views that another run has pending are not for this one's table.
        .namespace(format!("aggregation-{}", id()))
        .provide(db.clone())
        .build()
        .await?;
    cache.clone().install()?;

    let began = Instant::now();
    let tasks: Vec<_> = (0..TASKS).map(|n| tokio::spawn(view_pages(n))).collect();
    for task in tasks {
        task.await??;
    }
    let rate = VIEWS as f64 / began.elapsed().as_secs_f64();
    let report = cache.shutdown(Duration::from_secs(60)).await;
    assert_eq!(report.remaining, 0, "a write that failed is still pending");

    let mut sent = [0; PAGES as usize];
    (0..VIEWS).for_each(|view| sent[page_of(view) as usize] += 1);
    for (page, &views) in (0..).zip(&sent) {
        assert_eq!(db.views_of(page).await?, views, "views of page {page}");
    }

    let statements = db.executed.load(Ordering::Relaxed);
    println!("cache                {}", cache.stats().backend.name);
    println!("views sent           {VIEWS}");
    println!("acknowledged         {rate:.0} a second");
    println!("statements           {statements}");
    println!(
        "share                {:.2}%",
        statements as f64 * 100.0 / VIEWS as f64
    );
    println!("totals of {PAGES} pages  as sent");
    Ok(ExitCode::SUCCESS)
}

const NO_DATABASE: &str = "\
aggregation: set DATABASE_URL to a PostgreSQL database. This program makes a temporary table there and leaves nothing behind.

  docker run --rm -d -p 5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust postgres
  DATABASE_URL=postgres://postgres@localhost/postgres cargo run --release --example aggregation";
