//! Write-through: what a writer has written is in the cache when it returns, so that the next reader asks no database.

use cache_runtime::{Cache, cached};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::task::JoinSet;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, FromRow)]
struct Session {
    id: u32,
    user: String,
}

/// Stores the session in SQLite, and then in the cache. Of two that overlap nobody can tell here which came last: they leave
/// nothing in the cache rather than the wrong one.
#[cached(pattern = "write-through", key = "session:<session.id>", value = session, ttl = "1h")]
async fn save_session(db: &SqlitePool, session: &Session) -> Result<(), sqlx::Error> {
    let upsert = sqlx::query("INSERT OR REPLACE INTO sessions (id, user) VALUES (?, ?)");
    let upsert = upsert.bind(session.id).bind(&session.user);
    upsert.execute(db).await.map(drop)
}

/// The same key, so the same entry.
#[cached(key = "session:<id>", ttl = "1h")]
async fn session(db: &SqlitePool, id: u32) -> Result<Option<Session>, sqlx::Error> {
    let select = sqlx::query_as("SELECT id, user FROM sessions WHERE id = ?");
    select.bind(id).fetch_optional(db).await
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, FromRow)]
struct Basket {
    id: u32,
    items: u32,
    version: u64,
}

/// Stores what the statement returns. The database numbers the states of the row, so that of writes that overlap the last one stays.
#[cached(
    pattern = "write-through",
    key = "basket:<id>",
    version = "<return.version>",
    ttl = "1h"
)]
async fn add_item(db: &SqlitePool, id: u32) -> Result<Basket, sqlx::Error> {
    let update = sqlx::query_as(
        "INSERT INTO baskets (id, items, version) VALUES (?, 1, 1)
         ON CONFLICT DO UPDATE SET items = items + 1, version = version + 1 RETURNING *",
    );
    update.bind(id).fetch_one(db).await
}

#[cached(key = "basket:<id>", ttl = "1h")]
async fn basket(db: &SqlitePool, id: u32) -> Result<Option<Basket>, sqlx::Error> {
    let select = sqlx::query_as("SELECT * FROM baskets WHERE id = ?");
    select.bind(id).fetch_optional(db).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let db = open().await?;
    let cache = Cache::builder().build().await?;
    cache.clone().install()?;

    let saved = Session {
        id: 7,
        user: "Ada".to_owned(),
    };
    save_session(&db, &saved).await?;
    assert_eq!(session(&db, 7).await?, Some(saved));
    let stats = cache.stats();
    let (hits, loads) = (
        stats.function(session::SPEC).hits,
        stats.function(session::SPEC).loads,
    );
    println!("the session that was saved: {hits} hit, {loads} loads");
    assert_eq!((hits, loads), (1, 0));

    let mut writers = JoinSet::new();
    for _ in 0..50 {
        let db = db.clone();
        writers.spawn(async move { add_item(&db, 1).await });
    }
    for added in writers.join_all().await {
        added?;
    }
    let found = basket(&db, 1).await?;
    let loads = cache.stats().function(basket::SPEC).loads;
    println!("after fifty writes at once: {found:?}, {loads} loads");
    assert_eq!(found.map(|basket| basket.items), Some(50));
    assert_eq!(loads, 0);
    Ok(())
}

async fn open() -> Result<SqlitePool, sqlx::Error> {
    // In memory, so there is no more than the one connection.
    let one = SqlitePoolOptions::new().max_connections(1);
    let db = one
        .connect_with(SqliteConnectOptions::new().in_memory(true))
        .await?;
    let tables = "CREATE TABLE sessions (id INTEGER PRIMARY KEY, user TEXT NOT NULL);
         CREATE TABLE baskets (id INTEGER PRIMARY KEY, items INTEGER NOT NULL, version INTEGER NOT NULL)";
    sqlx::raw_sql(tables).execute(&db).await?;
    Ok(db)
}
