//! One of many callers: reads and writes in turn, and looks at what it gets and how long that took.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_runtime::Cache;
use fastrand::Rng;

use super::arguments::Leak;
use super::shop::*;

/// Between two calls of a caller, at most.
const PAUSE: Duration = Duration::from_millis(20);

/// A cache with its database.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    pub(crate) name: &'static str,
    pub(crate) cache: Cache,
    pub(crate) database: Arc<Database>,
}

/// What all callers have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: AtomicU64,
    /// Calls that took longer than their budget with a margin.
    pub(crate) late: AtomicU64,
    /// In microseconds.
    pub(crate) longest: AtomicU64,
    /// Writes that the log did not take: it says so, as it may.
    pub(crate) refused: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) wrong: Wrong,
}

/// What no caller may see.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    pub(crate) older: AtomicU64,
    pub(crate) errors: AtomicU64,
    /// The first of them, in words.
    pub(crate) first: Mutex<Option<String>>,
}

impl Wrong {
    fn note(&self, count: &AtomicU64, what: impl FnOnce() -> String) {
        count.fetch_add(1, Relaxed);
        if let Ok(mut first) = self.first.lock() {
            first.get_or_insert_with(what);
        }
    }
}

/// What a call may spend on the store. More than by default: the callers alone keep two cores busy, and a store that answers late because of that is not
/// to be given up.
pub(crate) const OPERATION: Duration = Duration::from_secs(1);

/// A call is late that takes longer than this: what it may spend on the store, its load, and as much again as a busy machine needs.
const BUDGET: Duration = Duration::from_millis(1000 + 4 + 1000);

pub(crate) struct Caller {
    pub(crate) shops: Arc<[Shop]>,
    pub(crate) keys: u64,
    pub(crate) random: Rng,
    pub(crate) seen: Arc<Seen>,
    pub(crate) is_over: Arc<AtomicBool>,
    pub(crate) leak: Option<Leak>,
    /// Where connections are made to, if they are to leak.
    pub(crate) proxy: std::net::SocketAddr,
}

impl Caller {
    pub(crate) async fn go_on(mut self) {
        while !self.is_over.load(Relaxed) {
            let shop = self.shops[self.random.usize(..self.shops.len())].clone();
            let id = self.key();
            let begun = Instant::now();
            shop.cache.scope(self.call(&shop, id)).await;
            if self.leak.is_some() {
                self.lose().await;
            }
            self.note(begun.elapsed());
            tokio::time::sleep(PAUSE.mul_f64(self.random.f64())).await;
        }
    }

    /// The first key is read twice as often as the second, and so on: the logarithm of the number is uniform.
    fn key(&mut self) -> u64 {
        let number = (self.keys as f64).powf(self.random.f64()) as u64;
        number.clamp(1, self.keys) - 1
    }

    fn note(&self, took: Duration) {
        self.seen.calls.fetch_add(1, Relaxed);
        self.seen
            .longest
            .fetch_max(took.as_micros() as u64, Relaxed);
        if took > BUDGET {
            self.seen.late.fetch_add(1, Relaxed);
        }
    }

    async fn call(&mut self, shop: &Shop, id: u64) {
        let database = &shop.database;
        match self.random.u8(..100) {
            0..2 => {
                let version = change(database, id).await;
                database.raise(id, version);
            }
            2 => {
                let group = id % GROUPS;
                let version = change_group(database, group).await;
                database.raise_group(group, version);
            }
            3 => match save(database, id).await {
                // It is of one key alone: what is under the others is as it was.
                Ok(_) => {}
                Err(error) => {
                    let wrong = &self.seen.wrong;
                    wrong.note(&wrong.errors, || {
                        format!("{}: a write-through: {error}", shop.name)
                    });
                }
            },
            4..6 => match count(id, 1).await {
                Ok(()) => drop(self.seen.acknowledged.fetch_add(1, Relaxed)),
                Err(_) => drop(self.seen.refused.fetch_add(1, Relaxed)),
            },
            _ => self.read(shop, id).await,
        }
    }

    async fn read(&mut self, shop: &Shop, id: u64) {
        let database = &shop.database;
        let (floor, group_floor) = database.floor(id);
        let (row, has_tag) = match self.random.u8(..5) {
            0 => (Some(lock(database, id).await), false),
            1 => (Some(swr(database, id).await), false),
            2 => (Some(early(database, id).await), false),
            3 => (negative(database, id).await, false),
            _ => (Some(tagged(database, id % GROUPS, id).await), true),
        };
        let Some(row) = row else { return };
        let is_old = row.version < floor || has_tag && row.group < group_floor;
        if row.id != id || is_old {
            let wrong = &self.seen.wrong;
            wrong.note(&wrong.older, || {
                format!(
                    "{}: {row:?} was read, {id} is at {floor} and {group_floor}",
                    shop.name
                )
            });
        }
    }

    async fn lose(&mut self) {
        match self.leak {
            Some(Leak::Tasks) => drop(tokio::spawn(std::future::pending::<()>())),
            Some(Leak::Memory) => std::mem::forget(vec![1_u8; 4096]),
            Some(Leak::Connections) if self.random.u8(..) == 0 => {
                if let Ok(connection) = tokio::net::TcpStream::connect(self.proxy).await {
                    std::mem::forget(connection);
                }
            }
            Some(Leak::Time) if self.random.u8(..10) == 0 => tokio::time::sleep(BUDGET * 2).await,
            _ => {}
        }
    }
}
