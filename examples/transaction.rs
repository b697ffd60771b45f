//! Writers inside a database transaction: what they invalidate takes effect after the commit.

use cache_runtime::{Cache, cached, invalidates};
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[cached(key = "balance:<account>")]
async fn balance(db: &SqlitePool, account: u32) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT cents FROM accounts WHERE id = ?")
        .bind(account)
        .fetch_one(db)
        .await
}

#[invalidates("balance:<account>")]
async fn deposit(
    transaction: &mut SqliteConnection,
    account: u32,
    cents: i64,
) -> Result<(), sqlx::Error> {
    let update = sqlx::query("UPDATE accounts SET cents = cents + ? WHERE id = ?")
        .bind(cents)
        .bind(account);
    update.execute(transaction).await.map(drop)
}

async fn transfer(cache: &Cache, db: &SqlitePool, from: u32, to: u32, cents: i64) -> Result<()> {
    cache
        .in_transaction(async {
            let mut transaction = db.begin().await?;
            deposit(&mut transaction, from, -cents).await?;
            deposit(&mut transaction, to, cents).await?;

            // Another task reads while the transaction is open. It gets the old balance, which is right, and may cache it.
            // Had `deposit` invalidated at once, that old balance would stay cached after the commit.
            let other = tokio::spawn({
                let db = db.clone();
                async move { balance(&db, to).await }
            });
            println!("another task, before the commit: {}", other.await??);

            transaction.commit().await?;
            Ok(())
        })
        .await
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = SqliteConnectOptions::new()
        .filename(folder.path().join("bank.db"))
        .create_if_missing(true);
    let db = SqlitePool::connect_with(file.journal_mode(SqliteJournalMode::Wal)).await?;
    sqlx::raw_sql("CREATE TABLE accounts (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL)")
        .execute(&db)
        .await?;
    sqlx::raw_sql("INSERT INTO accounts VALUES (1, 1000), (2, 0)")
        .execute(&db)
        .await?;

    let cache = Cache::builder().build().await?;
    cache.clone().install()?;

    assert_eq!(balance(&db, 2).await?, 0);
    transfer(&cache, &db, 1, 2, 300).await?;
    println!("after the commit: {}", balance(&db, 2).await?);
    assert_eq!((balance(&db, 1).await?, balance(&db, 2).await?), (700, 300));
    Ok(())
}
