//! What is cached, and the database behind it: rows with versions that only grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Error, cached, invalidates};
use serde::{Deserialize, Serialize};

/// So many groups of rows share a tag each.
pub(crate) const GROUPS: u64 = 1000;

/// A load takes at most so long, but on a machine that has other things to do.
pub(crate) const LOAD: Duration = Duration::from_millis(4);

/// One in so many rows does not exist.
const ABSENT: u64 = 8;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) version: u64,
    /// Of its group.
    pub(crate) group: u64,
    text: String,
}

/// The rows of one cache.
#[derive(Debug)]
pub(crate) struct Database {
    versions: Box<[AtomicU64]>,
    groups: Box<[AtomicU64]>,
    /// Of rows and groups: what was invalidated for good. Nobody who begins to read after that may see less.
    floors: Box<[AtomicU64]>,
    group_floors: Box<[AtomicU64]>,
    pub(crate) loads: AtomicU64,
    pub(crate) written_behind: AtomicU64,
}

fn zeros(count: u64) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

impl Database {
    pub(crate) fn new(keys: u64) -> Arc<Self> {
        Arc::new(Self {
            versions: zeros(keys),
            groups: zeros(GROUPS),
            floors: zeros(keys),
            group_floors: zeros(GROUPS),
            loads: AtomicU64::new(0),
            written_behind: AtomicU64::new(0),
        })
    }

    fn now(&self, id: u64) -> Row {
        Row {
            id,
            version: self.versions[id as usize].load(SeqCst),
            group: self.groups[(id % GROUPS) as usize].load(SeqCst),
            text: "some text that a row has".to_owned(),
        }
    }

    /// Reads the row, and is slow to hand it over: it may be an older one by then.
    async fn load(&self, id: u64) -> Row {
        self.loads.fetch_add(1, SeqCst);
        let row = self.now(id);
        tokio::time::sleep(LOAD.mul_f64(fastrand::f64())).await;
        row
    }

    /// The version that it makes: what the row is at later may be another's, who is not done yet.
    fn change(&self, id: u64) -> Row {
        let version = self.versions[id as usize].fetch_add(1, SeqCst) + 1;
        Row {
            version,
            ..self.now(id)
        }
    }

    /// The least versions of row and group that a read from now on may give.
    pub(crate) fn floor(&self, id: u64) -> (u64, u64) {
        (
            self.floors[id as usize].load(SeqCst),
            self.group_floors[(id % GROUPS) as usize].load(SeqCst),
        )
    }

    /// Whoever begins after this sees at least this version.
    pub(crate) fn raise(&self, id: u64, version: u64) {
        self.floors[id as usize].fetch_max(version, SeqCst);
    }

    pub(crate) fn raise_group(&self, group: u64, version: u64) {
        self.group_floors[group as usize].fetch_max(version, SeqCst);
    }
}

#[cached(key = "lock:<id>", ttl = 60)]
pub(crate) async fn lock(database: &Database, id: u64) -> Row {
    database.load(id).await
}

#[cached(
    key = "swr:<id>",
    ttl = 60,
    stampede = "lock+swr",
    refresh_after = "2s"
)]
pub(crate) async fn swr(database: &Arc<Database>, id: u64) -> Row {
    database.load(id).await
}

#[cached(key = "early:<id>", ttl = 10, stampede = "lock+early", beta = 1.5)]
pub(crate) async fn early(database: &Database, id: u64) -> Row {
    database.load(id).await
}

#[cached(key = "none:<id>", ttl = 30, negative_ttl = "5s")]
pub(crate) async fn negative(database: &Database, id: u64) -> Option<Row> {
    let row = database.load(id).await;
    (!id.is_multiple_of(ABSENT)).then_some(row)
}

#[cached(key = "tagged:<id>", ttl = 60, tags = ["group:<group>"])]
pub(crate) async fn tagged(database: &Database, group: u64, id: u64) -> Row {
    let _ = group;
    database.load(id).await
}

/// The new version, once it is everywhere.
#[invalidates("lock:<id>", "swr:<id>", "early:<id>", "none:<id>", "tagged:<id>")]
pub(crate) async fn change(database: &Database, id: u64) -> u64 {
    database.change(id).version
}

#[invalidates(tags("group:<group>"))]
pub(crate) async fn change_group(database: &Database, group: u64) -> u64 {
    database.groups[group as usize].fetch_add(1, SeqCst) + 1
}

#[cached(pattern = "write-through", key = "lock:<id>", ttl = 60)]
pub(crate) async fn save(database: &Database, id: u64) -> Result<Row, Error> {
    Ok(database.change(id))
}

#[cached(
    pattern = "write-behind",
    key = "behind:<id>",
    value = none,
    flush = "20ms"
)]
pub(crate) async fn count(
    #[context] database: &Arc<Database>,
    id: u64,
    by: u64,
) -> Result<(), Error> {
    let _ = id;
    database.written_behind.fetch_add(by, SeqCst);
    Ok(())
}
