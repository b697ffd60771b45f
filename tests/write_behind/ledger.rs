//! What stands for the database here: it notes what was written, and fails, panics or waits when it is told to.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_runtime::{Cache, CacheBuilder, Error, ManualClock, WriteBehind};
use tests::{Gate, RedisServer, redis_builder, within};

/// A write that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) id: u64,
    pub(crate) text: String,
    pub(crate) sequence: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Fails,
    Panics,
    Hangs,
}

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Inner>);

#[derive(Default)]
struct Inner {
    lines: Mutex<Vec<Line>>,
    tried: Mutex<Vec<u64>>,
    trouble: Mutex<HashMap<u64, Trouble>>,
    /// The sizes of the batches that came.
    batches: Mutex<Vec<usize>>,
    gate: Mutex<Option<Gate>>,
    committed: Mutex<Option<Gate>>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.lines.lock().unwrap().clone()
    }

    /// The texts that were written under an id, in their order.
    pub(crate) fn texts(&self, id: u64) -> Vec<String> {
        let lines = self.lines();
        let of_id = lines.into_iter().filter(|line| line.id == id);
        of_id.map(|line| line.text).collect()
    }

    /// How often the id was tried.
    pub(crate) fn tries(&self, id: u64) -> usize {
        let tried = self.0.tried.lock().unwrap();
        tried.iter().filter(|tried| **tried == id).count()
    }

    pub(crate) fn batches(&self) -> Vec<usize> {
        self.0.batches.lock().unwrap().clone()
    }

    /// From now on writes of the id meet this.
    pub(crate) fn trouble(&self, id: u64, trouble: Trouble) {
        self.0.trouble.lock().unwrap().insert(id, trouble);
    }

    pub(crate) fn heal(&self, id: u64) {
        self.0.trouble.lock().unwrap().remove(&id);
    }

    /// From now on writes wait here.
    pub(crate) fn gate(&self, gate: &Gate) {
        *self.0.gate.lock().unwrap() = Some(gate.clone());
    }

    /// From now on bodies that call [`committed`](Self::committed) wait here.
    pub(crate) fn hold_committed(&self, gate: &Gate) {
        *self.0.committed.lock().unwrap() = Some(gate.clone());
    }

    /// Where a body has written and has not returned yet.
    pub(crate) async fn committed(&self) {
        let gate = self.0.committed.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.pass().await;
        }
    }

    pub(crate) async fn write(
        &self,
        id: u64,
        text: String,
        sequence: u64,
    ) -> Result<(), LedgerError> {
        self.0.tried.lock().unwrap().push(id);
        let gate = self.0.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.pass().await;
        }
        let trouble = self.0.trouble.lock().unwrap().get(&id).copied();
        match trouble {
            Some(Trouble::Fails) => return Err(LedgerError::Refused(format!("no room for {id}"))),
            Some(Trouble::Panics) => panic!("the ledger fell at {id}"),
            Some(Trouble::Hangs) => std::future::pending().await,
            None => {}
        }
        self.0
            .lines
            .lock()
            .unwrap()
            .push(Line { id, text, sequence });
        Ok(())
    }

    /// All of them or none.
    pub(crate) async fn write_all(&self, lines: Vec<Line>) -> Result<(), LedgerError> {
        self.0.batches.lock().unwrap().push(lines.len());
        let trouble = self.0.trouble.lock().unwrap().clone();
        if let Some(bad) = lines.iter().find(|line| trouble.contains_key(&line.id)) {
            return Err(LedgerError::Refused(format!("the batch has {}", bad.id)));
        }
        self.0.lines.lock().unwrap().extend(lines);
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) enum LedgerError {
    Refused(String),
    Cache(Error),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) => f.write_str(text),
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl From<Error> for LedgerError {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

/// Options whose pauses are known: 1 s, 2 s, 4 s, each shortened by up to a half.
pub(crate) fn options() -> WriteBehind {
    let (first, longest) = (Duration::from_secs(1), Duration::from_secs(60));
    WriteBehind::new().attempts(3).backoff(first, longest)
}

/// Longer than any of the pauses.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);

/// A cache in memory whose time only moves by hand.
pub(crate) async fn in_memory(ledger: &Ledger) -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock);
    (provided(cache, ledger).build().await.unwrap(), clock)
}

pub(crate) fn provided(builder: CacheBuilder, ledger: &Ledger) -> CacheBuilder {
    builder.provide(ledger.clone()).write_behind(options())
}

/// Runs the test on a cache in memory and on one on a Redis server of its own.
pub(crate) async fn on_each(test: impl AsyncFn(Cache, Ledger)) {
    println!("in memory:");
    let ledger = Ledger::new();
    let cache = provided(Cache::builder(), &ledger).build().await.unwrap();
    within(cache.scope(test(cache.clone(), ledger))).await;
    println!("on Redis:");
    let server = RedisServer::start().await;
    let ledger = Ledger::new();
    let builder = provided(redis_builder(&server), &ledger);
    let cache = builder
        .lease_ttl(Duration::from_secs(5))
        .build()
        .await
        .unwrap();
    within(cache.scope(test(cache.clone(), ledger))).await;
}
