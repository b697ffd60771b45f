//! Keeps a log of what is read: callers put into a bounded queue, and a task writes it out.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::format::{self, Header};
use super::sink::{Batch, Sink};
use crate::cache::Cache;
use crate::clock::{Clock, Moment};
use crate::error::{ConfigError, Error};
use crate::key::{Key, hash::Purpose};

/// So long a log that cannot be written is left alone. What is read meanwhile waits, as far as there is room.
const PAUSE: Duration = Duration::from_secs(1);

/// How a cache records what is read: [`CacheBuilder::record`](crate::CacheBuilder::record).
///
/// The keys of reads are recorded with their times, be they hits or misses; values are not. Keys are text of your data: keep the log where you keep that.
///
/// **Sampling** is by key, and all accesses of a key that is picked are kept: a tenth of the keys is a tenth of the cache, with the same hit ratio. A tenth of all accesses
/// would make a cache look colder than it is, as most keys would be seen once. (Waldspurger et al., "Efficient MRC construction with SHARDS", FAST 2015.) All processes pick the same keys.
///
/// **Bounds.** The log has at most as many bytes as it is given; the oldest accesses give way, as soon as newer ones are written (files have for that moment up to 16 KiB more). Callers wait for nothing: what comes faster than it
/// is written is [lost](RecordingStats::lost), and counted. A process that is killed loses what was read in its last moments (100 ms for a file, 5 s for a stream), and may leave a torn
/// record, which readers skip. A file is given to the disk when its part of the log ends: a machine that loses its power loses what its system had not written.
#[derive(Debug, Clone)]
pub struct Recorder {
    target: Target,
    one_in: u32,
    most: u64,
    queue: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Target {
    File(PathBuf),
    #[cfg(feature = "redis")]
    Stream(crate::backend::redis::RedisBuilder),
}

impl Recorder {
    /// The least that a log may be bounded to.
    pub const LEAST_BYTES: u64 = 64 << 10;

    fn new(target: Target) -> Self {
        Self {
            target,
            one_in: 16,
            most: 64 << 20,
            queue: 16 << 10,
        }
    }

    /// Records into files: `access.log.000001` and so on for `access.log`, each an eighth of the log. Each process needs a name of its own.
    pub fn to_file(path: impl Into<PathBuf>) -> Self {
        Self::new(Target::File(path.into()))
    }

    /// Records into a stream on a Redis server, one for each namespace, which any number of processes share. It is named `{<namespace>/accesses}`; a user of
    /// an access control list needs `XADD` and `XRANGE` on it.
    #[cfg(feature = "redis")]
    pub fn to_stream(server: crate::backend::redis::RedisBuilder) -> Self {
        Self::new(Target::Stream(server))
    }

    /// Records the accesses of one key in so many. Default 16; 1 records all.
    #[must_use]
    pub fn one_in(mut self, keys: u32) -> Self {
        self.one_in = keys;
        self
    }

    /// Bounds the log to so many bytes. Default 64 MiB, which is about two million accesses.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.most = bytes;
        self
    }

    /// Sets how many accesses may wait to be written. Default 16,384, of about 80 bytes each.
    #[must_use]
    pub fn queue(mut self, accesses: usize) -> Self {
        self.queue = accesses;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.one_in == 0 {
            return Err(ConfigError::new(
                "recorder",
                "records one key in at least 1",
            ));
        }
        if self.most < Self::LEAST_BYTES {
            let problem = format!("the log must be at least {} bytes", Self::LEAST_BYTES);
            return Err(ConfigError::new("recorder", problem));
        }
        if self.queue == 0 || self.queue > 1 << 24 {
            return Err(ConfigError::new(
                "recorder",
                "the queue takes between 1 and 16,777,216 accesses",
            ));
        }
        Ok(())
    }

    /// Begins to record, in the tokio runtime that this is called in.
    pub(crate) async fn start(&self, clock: &Clock) -> Result<Recording, Error> {
        let (queue, waiting) = sync_channel(self.queue);
        let (orders, inbox) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts::default());
        let writer = Writer {
            waiting,
            sink: Sink::open(&self.target, self.most).await?,
            one_in: self.one_in,
            clock: clock.clone(),
            counts: counts.clone(),
            queue: self.queue as u64,
            begun: None,
            failing: false,
            paused_until: None,
        };
        tokio::spawn(writer.run(inbox));
        Ok(Recording(Arc::new(Shared {
            queue,
            orders,
            one_in: self.one_in,
            counts,
        })))
    }
}

/// What a recording did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordingStats {
    /// Accesses that are in the log, or were until they gave way to newer ones.
    pub recorded: u64,
    /// Accesses that were to be recorded and are not: they came faster than they could be written, their keys are longer than 1,024 bytes, or the log
    /// could not be written.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Counts {
    recorded: AtomicU64,
    lost: AtomicU64,
}

/// A recording under way: [`Cache::recording`].
#[derive(Clone)]
pub struct Recording(Arc<Shared>);

struct Shared {
    queue: SyncSender<Access>,
    orders: mpsc::UnboundedSender<Order>,
    one_in: u32,
    counts: Arc<Counts>,
}

struct Access {
    at: Moment,
    key: Key,
}

/// What the writer is told. It answers when it is done.
enum Order {
    Flush(oneshot::Sender<Result<(), Error>>),
    Close(oneshot::Sender<Result<(), Error>>),
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recording").field(&self.stats()).finish()
    }
}

impl Recording {
    /// An access. On the path of a hit: the queue is of a fixed size, and nobody waits on it, so that to put into it takes no lock and allocates nothing.
    #[inline]
    pub(crate) fn saw(&self, key: &Key, clock: &Clock) {
        let Shared { one_in, .. } = &*self.0;
        if *one_in == 1
            || key
                .stable_hash(Purpose::Sampling)
                .is_multiple_of(u64::from(*one_in))
        {
            self.put(key, clock);
        }
    }

    fn put(&self, key: &Key, clock: &Clock) {
        let fits = key.as_bytes().len() <= format::LONGEST_KEY;
        let access = || Access {
            at: clock.now(),
            key: key.clone(),
        };
        if !fits || self.0.queue.try_send(access()).is_err() {
            self.0.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What it did up to now. What waits to be written is in neither figure.
    #[must_use]
    pub fn stats(&self) -> RecordingStats {
        RecordingStats {
            recorded: self.0.counts.recorded.load(Ordering::Relaxed),
            lost: self.0.counts.lost.load(Ordering::Relaxed),
        }
    }

    /// Writes out what was read before, and returns when that is done.
    ///
    /// # Errors
    ///
    /// [`Error::File`] or [`Error::Backend`] if the log cannot be written: what was waiting is lost. [`Error::ShutDown`] after [`close`](Self::close).
    pub async fn flush(&self) -> Result<(), Error> {
        self.order(Order::Flush).await
    }

    /// Ends the recording: writes out what was read before, and sees to it that it is on the disk. What is read later is lost, and counted.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub async fn close(&self) -> Result<(), Error> {
        self.order(Order::Close).await
    }

    async fn order(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Order,
    ) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        if self.0.orders.send(order(answer)).is_err() {
            return Err(Error::ShutDown);
        }
        answered.await.unwrap_or(Err(Error::ShutDown))
    }
}

impl Cache {
    /// The recording of what is read, if the cache was built [with one](crate::CacheBuilder::record).
    #[must_use]
    pub fn recording(&self) -> Option<&Recording> {
        self.inner.accesses.as_ref()?.recording.as_ref()
    }
}

/// The task that writes.
struct Writer {
    waiting: Receiver<Access>,
    sink: Sink,
    one_in: u32,
    clock: Clock,
    counts: Arc<Counts>,
    /// How many can be waiting.
    queue: u64,
    /// When the open segment was begun.
    begun: Option<Moment>,
    /// The last write failed. That is said once.
    failing: bool,
    /// And is tried again after this, or when somebody asks for it.
    paused_until: Option<Instant>,
}

impl Writer {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        loop {
            let order = tokio::time::timeout(self.sink.linger(), inbox.recv()).await;
            let paused = self
                .paused_until
                .is_some_and(|until| Instant::now() < until);
            if order.is_err() && paused {
                continue;
            }
            let written = self.write_out().await;
            match order {
                // Time is up.
                Err(_) => {}
                Ok(Some(Order::Flush(answer))) => {
                    let _ = answer.send(written);
                }
                Ok(Some(Order::Close(answer))) => {
                    let _ = answer.send(match (written, self.sink.end().await) {
                        (Ok(()), ended) => ended,
                        (failed, _) => failed,
                    });
                    return;
                }
                // The cache and all handles are gone.
                Ok(None) => {
                    let _ = self.sink.end().await;
                    return;
                }
            }
        }
    }

    /// Writes what is waiting, up to a queue full: callers may put as fast as this takes.
    async fn write_out(&mut self) -> Result<(), Error> {
        let mut done = 0;
        loop {
            let batch = self.batch();
            if batch.records == 0 {
                return Ok(());
            }
            let (records, more) = (batch.records, batch.more);
            match self.sink.write(batch).await {
                Ok(()) => {
                    self.failing = false;
                    self.paused_until = None;
                    self.counts.recorded.fetch_add(records, Ordering::Relaxed);
                }
                Err(error) => {
                    self.begun = None;
                    self.paused_until = Some(Instant::now() + PAUSE);
                    self.counts.lost.fetch_add(records, Ordering::Relaxed);
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(%error, "accesses cannot be recorded, and are lost");
                    }
                    return Err(error);
                }
            }
            done += records;
            if !more || done >= self.queue {
                return Ok(());
            }
        }
    }

    /// Takes what is written at once.
    fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        let open = self.begun.zip(self.sink.place());
        let mut segment = open;
        while batch.bytes.len() < self.sink.batch_bytes() {
            let Ok(Access { at, key }) = self.waiting.try_recv() else {
                return batch;
            };
            let (begun, place) = *segment.get_or_insert((at, format::HEADER));
            let micros = u64::try_from(at.since(begun).as_micros()).unwrap_or(u64::MAX);
            let place = place + batch.bytes.len();
            format::write_record(&mut batch.bytes, place, micros, &key);
            batch.records += 1;
            if open.is_none() && batch.header.is_none() {
                batch.header = Some(Header {
                    one_in: self.one_in,
                    begun: self.unix_micros(begun),
                });
                self.begun = Some(begun);
            }
        }
        batch.more = true;
        batch
    }

    /// When that was, by the machine's clock. Only the distances between segments are read from it.
    fn unix_micros(&self, at: Moment) -> u64 {
        let ago = self.clock.now().since(at);
        let now = UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        u64::try_from(now.saturating_sub(ago).as_micros()).unwrap_or(u64::MAX)
    }
}
