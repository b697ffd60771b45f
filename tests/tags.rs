//! Tags and namespaces: what an invalidation of many entries in one step promises, on both backends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use cache_runtime::{cached, invalidates};
use serde::{Deserialize, Serialize};
use tests::Gate;

#[path = "tags/in_flight.rs"]
mod in_flight;
#[path = "tags/kept.rs"]
mod kept;
#[path = "tags/names.rs"]
mod names;
#[path = "tags/trips.rs"]
mod trips;
#[path = "tags/writers.rs"]
mod writers;

/// A user of an organisation, as its row was at some version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    org: u32,
    version: u64,
}

/// A table of users, who are all of one organisation and change together.
#[derive(Debug, Default)]
struct Db {
    version: AtomicU64,
    org: AtomicU32,
    loads: AtomicU64,
    read: Gate,
}

impl Db {
    /// One whose queries go through at once.
    fn open() -> Arc<Self> {
        let db = Arc::new(Self::default());
        db.read.open();
        db
    }

    /// The row as it is when the query begins.
    async fn user(&self, id: u64) -> User {
        self.loads.fetch_add(1, SeqCst);
        let user = User {
            id,
            org: self.org.load(SeqCst),
            version: self.version.load(SeqCst),
        };
        self.read.pass().await;
        user
    }

    /// Changes every row.
    fn change(&self) -> u64 {
        self.version.fetch_add(1, SeqCst) + 1
    }

    fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }
}

/// The tag is told by an argument.
#[cached(key = "user:<id>", tags = ["org:<org>"])]
async fn of_argument(db: &Db, org: u32, id: u64) -> User {
    let _ = org;
    db.user(id).await
}

/// The tag is told by the result.
#[cached(key = "member:<id>", tags = ["org:<return.org>"])]
async fn of_result(db: &Db, id: u64) -> User {
    db.user(id).await
}

#[invalidates(tags("org:<org>"))]
async fn change_all(db: &Db, org: u32) -> u64 {
    let _ = org;
    db.change()
}
