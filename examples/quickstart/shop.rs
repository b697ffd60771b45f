//! The application: products and their prices in SQLite, two loaders and two writers.
//!
//! The attributes on these four functions are all that it takes to cache them.

use std::time::Duration;

use cache_runtime::{cached, invalidates};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{FromRow, query, query_as, query_scalar};
use tempfile::TempDir;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromRow)]
pub(crate) struct Product {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) price_cents: i64,
    pub(crate) stock: i64,
    /// Raised by every write: by this the replay finds out how old a product is.
    pub(crate) version: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromRow)]
pub(crate) struct Price {
    /// The version of the product that brought this price.
    pub(crate) version: u64,
    pub(crate) price_cents: i64,
}

#[cached(pattern = "aside", key = "product:<id>", ttl = 300, stampede = "lock")]
pub(crate) async fn load_product(shop: &Shop, id: u32) -> Result<Option<Product>, sqlx::Error> {
    query_as(SELECT_PRODUCT)
        .bind(id)
        .fetch_optional(&shop.readers)
        .await
}

/// The latest prices of a product, the newest first.
#[cached(key = "prices:<id>", ttl = "5m")]
pub(crate) async fn load_prices(shop: &Shop, id: u32) -> Result<Vec<Price>, sqlx::Error> {
    query_as(SELECT_PRICES)
        .bind(id)
        .fetch_all(&shop.readers)
        .await
}

/// Returns the product's new version.
#[invalidates("product:<id>")]
pub(crate) async fn restock(shop: &Shop, id: u32, pieces: i64) -> Result<u64, sqlx::Error> {
    query_scalar("UPDATE products SET stock = stock + ?, version = version + 1 WHERE id = ? RETURNING version")
        .bind(pieces)
        .bind(id)
        .fetch_one(&shop.writer)
        .await
}

/// Returns the product's new version.
#[invalidates("product:<id>", "prices:<id>")]
pub(crate) async fn set_price(shop: &Shop, id: u32, price_cents: i64) -> Result<u64, sqlx::Error> {
    let mut transaction = shop.writer.begin().await?;
    let version: u64 = query_scalar(
        "UPDATE products SET price_cents = ?, version = version + 1 WHERE id = ? RETURNING version",
    )
    .bind(price_cents)
    .bind(id)
    .fetch_one(&mut *transaction)
    .await?;
    query("INSERT INTO prices SELECT id, version, price_cents FROM products WHERE id = ?")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(version)
}

const SELECT_PRODUCT: &str = "SELECT * FROM products WHERE id = ?";
const SELECT_PRICES: &str =
    "SELECT version, price_cents FROM prices WHERE id = ? ORDER BY version DESC LIMIT 10";

/// The same loaders without their annotations, to compare with.
pub(crate) mod uncached {
    use super::{Price, Product, SELECT_PRICES, SELECT_PRODUCT, Shop, query_as};

    pub(crate) async fn load_product(shop: &Shop, id: u32) -> Result<Option<Product>, sqlx::Error> {
        query_as(SELECT_PRODUCT)
            .bind(id)
            .fetch_optional(&shop.readers)
            .await
    }

    pub(crate) async fn load_prices(shop: &Shop, id: u32) -> Result<Vec<Price>, sqlx::Error> {
        query_as(SELECT_PRICES)
            .bind(id)
            .fetch_all(&shop.readers)
            .await
    }
}

/// A database in a folder of its own, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Shop {
    readers: SqlitePool,
    /// SQLite has one writer at a time. They queue for this one connection rather than fail as busy.
    writer: SqlitePool,
    _folder: TempDir,
}

impl Shop {
    /// Opens a shop with the products `0..products`, each of version 1.
    pub(crate) async fn open(products: u32) -> Result<Self, sqlx::Error> {
        let folder = TempDir::with_prefix("quickstart-").map_err(sqlx::Error::Io)?;
        let file = SqliteConnectOptions::new()
            .filename(folder.path().join("shop.db"))
            .create_if_missing(true)
            // Readers go on while a writer writes.
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10));
        let connections = |count| {
            // An embedded database does not go away, so there is no use in asking it before each query whether it is there.
            SqlitePoolOptions::new()
                .min_connections(count)
                .max_connections(count)
                .test_before_acquire(false)
        };
        let writer = connections(1).connect_with(file.clone()).await?;
        fill(&writer, products).await?;
        let readers = connections(4).connect_with(file).await?;
        Ok(Self {
            readers,
            writer,
            _folder: folder,
        })
    }
}

async fn fill(database: &SqlitePool, products: u32) -> Result<(), sqlx::Error> {
    let mut transaction = database.begin().await?;
    sqlx::raw_sql(
        "CREATE TABLE products (
             id INTEGER PRIMARY KEY,
             name TEXT NOT NULL,
             price_cents INTEGER NOT NULL,
             stock INTEGER NOT NULL,
             version INTEGER NOT NULL
         );
         CREATE TABLE prices (
             id INTEGER NOT NULL REFERENCES products,
             version INTEGER NOT NULL,
             price_cents INTEGER NOT NULL,
             PRIMARY KEY (id, version)
         ) WITHOUT ROWID",
    )
    .execute(&mut *transaction)
    .await?;
    query(
        "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)
         INSERT INTO products SELECT n, 'Product ' || n, 100 + n * 37 % 10000, 10, 1 FROM numbers",
    )
    .bind(products)
    .execute(&mut *transaction)
    .await?;
    query("INSERT INTO prices SELECT id, version, price_cents FROM products")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}
