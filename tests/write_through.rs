//! What write-through writers promise: the body first, and then what it wrote is the cached value, or there is none.

#[path = "write_through/failures.rs"]
mod failures;
#[path = "write_through/overlapping.rs"]
mod overlapping;
#[path = "write_through/stored.rs"]
mod stored;
#[path = "write_through/transactions.rs"]
mod transactions;
#[path = "write_through/versions.rs"]
mod versions;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use cache_runtime::{Cache, FunctionStats, Spec, cached, carry};
use serde::{Deserialize, Serialize};
use tests::Gate;
use tokio::task::JoinHandle;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    version: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum DbError {
    Failed,
    Refused,
}

impl From<cache_runtime::Error> for DbError {
    fn from(_: cache_runtime::Error) -> Self {
        Self::Refused
    }
}

/// The database, with one row.
struct Db {
    row: Mutex<User>,
    loads: AtomicU64,
    /// A query sees the row before it passes: what it returns may be old by then.
    read: Gate,
}

impl Db {
    fn new() -> Arc<Self> {
        let read = Gate::new();
        read.open();
        let row = User {
            id: 7,
            name: "Old".to_owned(),
            version: 0,
        };
        Arc::new(Self {
            row: Mutex::new(row),
            loads: AtomicU64::new(0),
            read,
        })
    }

    fn row(&self) -> User {
        self.row.lock().unwrap().clone()
    }

    fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }

    async fn query(&self) -> User {
        self.loads.fetch_add(1, SeqCst);
        let seen = self.row();
        self.read.pass().await;
        seen
    }

    async fn commit(&self, change: &Change) -> Result<User, DbError> {
        change.before.pass().await;
        let row = {
            let mut row = self.row.lock().unwrap();
            row.name = change.name.to_owned();
            row.version += 1;
            row.clone()
        };
        change.after.pass().await;
        match change.end {
            End::Ok => Ok(row),
            End::Err => Err(DbError::Failed),
            End::Panic => panic!("as told"),
            End::Drop => std::future::pending().await,
        }
    }
}

/// How a body ends, after it has changed the row.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Ok,
    Err,
    Panic,
    Drop,
}

/// What a writer does to the row, with gates before and after.
#[derive(Debug, Clone)]
struct Change {
    name: &'static str,
    before: Gate,
    after: Gate,
    end: End,
}

impl Change {
    fn to(name: &'static str) -> Self {
        let change = Self {
            name,
            before: Gate::new(),
            after: Gate::new(),
            end: End::Ok,
        };
        change.before.open();
        change.after.open();
        change
    }

    /// Held after it has changed the row.
    fn held(name: &'static str) -> Self {
        let change = Self::to(name);
        change.after.close();
        change
    }

    fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

#[cached(key = "user:<id>", ttl = 300)]
async fn load(db: &Db, id: u64) -> User {
    let _ = id;
    db.query().await
}

#[cached(pattern = "write-through", key = "user:<id>")]
async fn fenced(db: &Db, id: u64, change: Change) -> Result<User, DbError> {
    let _ = id;
    db.commit(&change).await
}

#[cached(pattern = "write-through", key = "user:<id>", consistency = "strict")]
async fn strict(db: &Db, id: u64, change: Change) -> Result<User, DbError> {
    let _ = id;
    db.commit(&change).await
}

#[cached(
    pattern = "write-through",
    key = "user:<id>",
    version = "<return.version>"
)]
async fn versioned(db: &Db, id: u64, change: Change) -> Result<User, DbError> {
    let _ = id;
    db.commit(&change).await
}

#[cached(pattern = "write-through", key = "user:<id>", consistency = "eventual")]
async fn eventual(db: &Db, id: u64, change: Change) -> Result<User, DbError> {
    let _ = id;
    db.commit(&change).await
}

/// The ways in which writes can be ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Fenced,
    Strict,
    Versioned,
    Eventual,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Fenced, Self::Strict, Self::Versioned, Self::Eventual];

    async fn write(self, db: &Db, change: Change) -> Result<User, DbError> {
        match self {
            Self::Fenced => fenced(db, 7, change).await,
            Self::Strict => strict(db, 7, change).await,
            Self::Versioned => versioned(db, 7, change).await,
            Self::Eventual => eventual(db, 7, change).await,
        }
    }

    /// The same as a task of its own, in the scope of the caller's cache.
    fn start(self, db: &Arc<Db>, change: &Change) -> JoinHandle<Result<User, DbError>> {
        let (db, change) = (Arc::clone(db), change.clone());
        tokio::spawn(carry(async move { self.write(&db, change).await }))
    }

    /// The same on a cache of its own.
    fn start_on(
        self,
        cache: &Cache,
        db: &Arc<Db>,
        change: &Change,
    ) -> JoinHandle<Result<User, DbError>> {
        let (db, change) = (Arc::clone(db), change.clone());
        tokio::spawn(cache.scope(async move { self.write(&db, change).await }))
    }

    fn spec(self) -> &'static Spec {
        match self {
            Self::Fenced => fenced::SPEC,
            Self::Strict => strict::SPEC,
            Self::Versioned => versioned::SPEC,
            Self::Eventual => eventual::SPEC,
        }
    }

    fn stats(self, cache: &Cache) -> FunctionStats {
        cache.stats().function(self.spec())
    }
}

/// The name of the user that is cached.
async fn cached_name() -> Option<String> {
    load::peek(7).await.map(|user| user.name)
}
