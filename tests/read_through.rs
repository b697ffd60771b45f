//! Read-through: loaders that the cache knows, handed what their callers do not have, and run from their keys alone.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{
    Cache, Error, FromKeyPart, GetError, KeyPart, KeyText, KeyWriter, ManualClock, Pattern, cached,
    invalidates,
};
use serde::{Deserialize, Serialize};
use tests::{Gate, on_each_backend, within};

/// A database that counts its queries.
#[derive(Clone, Default)]
struct Db {
    queries: Arc<AtomicU64>,
    gate: Option<Gate>,
}

impl Db {
    async fn query(&self) {
        self.queries.fetch_add(1, SeqCst);
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
    }

    fn queries(&self) -> u64 {
        self.queries.load(SeqCst)
    }
}

/// A prefix, to be handed in by value.
#[derive(Clone)]
struct Greeting(&'static str);

#[derive(Debug)]
enum DbError {
    Cache(Error),
    Down(u64),
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cache(error) => error.fmt(f),
            Self::Down(id) => write!(f, "row {id} cannot be read"),
        }
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

/// Row 0 is not there, and row 13 cannot be read.
#[cached(pattern = "read-through", key = "user:<id>", ttl = 300)]
async fn load_user(#[context] db: &Db, id: u64) -> Result<Option<User>, DbError> {
    db.query().await;
    match id {
        0 => Ok(None),
        13 => Err(DbError::Down(id)),
        _ => Ok(Some(User {
            id,
            name: format!("user {id}"),
        })),
    }
}

/// Two contexts, one by value and one in the middle, and arguments in another order than in the key.
#[cached(pattern = "read-through", key = "greet:<name>:<formal>", ttl = 300)]
async fn greet(
    #[context] greeting: Greeting,
    formal: bool,
    #[context] db: &Db,
    name: &str,
) -> Result<Arc<String>, DbError> {
    db.query().await;
    let greeting = if formal { "Good day" } else { greeting.0 };
    Ok(Arc::new(format!("{greeting}, {name}!")))
}

/// No context, no argument, no `Result`.
#[cached(pattern = "read-through", key = "config", ttl = 300)]
async fn config() -> u64 {
    7
}

#[derive(Clone, Debug, PartialEq)]
struct Sku {
    maker: u32,
    number: String,
}

impl KeyPart for Sku {
    fn write_key(&self, key: &mut KeyWriter) {
        (self.maker, &self.number).write_key(key);
    }
}

impl FromKeyPart for Sku {
    fn from_key(text: KeyText<'_>) -> Option<Self> {
        let (maker, number) = text.parse()?;
        Some(Self { maker, number })
    }
}

#[cached(
    pattern = "read-through",
    key = "odd:<sku>:<ids>-x:<set>:<none>:<number>:<sku>",
    ttl = 300
)]
async fn odd(
    sku: &Sku,
    ids: &[u8],
    set: BTreeSet<i8>,
    none: Option<u8>,
    number: NonZero<u64>,
) -> String {
    format!("{sku:?} {ids:?} {set:?} {none:?} {number}")
}

async fn provided(db: &Db) -> Cache {
    Cache::builder()
        .provide(db.clone())
        .provide(Greeting("Hi"))
        .build()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_loader_is_called_without_what_the_cache_hands_in() {
    let db = Db::default();
    let cache = provided(&db).await;
    cache
        .scope(async {
            let ada = load_user(1).await.unwrap().unwrap();
            assert_eq!(ada.name, "user 1");
            load_user(1).await.unwrap();
            assert_eq!(db.queries(), 1);
            assert_eq!(**greet(false, "Ada").await.unwrap(), *"Hi, Ada!");
            assert_eq!(**greet(true, "Ada").await.unwrap(), *"Good day, Ada!");
            assert_eq!(config().await, 7);
        })
        .await;
    let stats = cache.stats().function(load_user::SPEC);
    assert_eq!((stats.hits, stats.loads), (1, 1));
    assert_eq!(load_user::SPEC.pattern(), Pattern::ReadThrough);
}
