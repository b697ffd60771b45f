//! What a cache knows of write-behind: contexts, options, and its worker.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::options::WriteBehind;
use super::report::{FlushReport, WriteBehindStats};
use super::worker::{Log, Shared, Supervisor, Worker, is_inside};
use super::writer::{self, Writer};
use crate::backend::Format;
use crate::backend::log::{LogSize, WriteLog};
use crate::cache::Inner;
use crate::error::{BackendError, ConfigError};
use crate::guard::Guarded;
use crate::pattern::contexts::Contexts;

/// An owner looks for writes of other processes at least and at most so often.
const RAREST_LOOK: Duration = Duration::from_secs(1);
const MOST_FREQUENT_LOOK: Duration = Duration::from_millis(5);

/// How long a shutdown waits for its worker to end, at least.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// The write-behind part of a cache.
pub(crate) struct Writes {
    pub(super) log: Log,
    pub(super) shared: Arc<Shared>,
    worker: Worker,
    /// Whether this process may run writes.
    works: bool,
    down: AtomicBool,
    /// Appends under way.
    appending: watch::Sender<usize>,
    /// What the first shutdown came to: others wait for it.
    ended: tokio::sync::Mutex<Option<FlushReport>>,
    said_that_a_crash_loses_it: AtomicBool,
}

impl Writes {
    pub(crate) fn new(
        guarded: &Arc<Guarded>,
        options: WriteBehind,
        contexts: Contexts,
        lease_ttl: Duration,
    ) -> Self {
        let log = Log::new(Arc::clone(guarded), options.log_timeout);
        let shared = Shared::new(options, contexts, look_every(), lease_ttl);
        let works = shared.options.worker
            // What a program without writers took from the log it could only bury.
            && writer::all().next().is_some()
            && guarded.backend().write_log().is_some()
            // In memory a writer that cannot be run is refused at its call, so that the log never holds a write of it.
            && (is_local(guarded) || missing(&shared.contexts).next().is_none());
        Self {
            log,
            shared: Arc::new(shared),
            worker: Worker::default(),
            works,
            down: AtomicBool::new(false),
            appending: watch::Sender::new(0),
            ended: tokio::sync::Mutex::default(),
            said_that_a_crash_loses_it: AtomicBool::new(false),
        }
    }

    /// Looks whether a process that shares its log has all that its writers need, if it has anything that one of them needs.
    pub(crate) fn check(&self, guarded: &Guarded) -> Result<(), ConfigError> {
        let is_shared = !is_local(guarded) && guarded.backend().write_log().is_some();
        if !is_shared || !self.shared.options.worker {
            return Ok(());
        }
        let Some((writer, context)) = missing(&self.shared.contexts).next() else {
            return Ok(());
        };
        let advice = format!(
            "it needs `{context}`: give it to the cache with `Cache::builder().provide(…)`, or leave pending writes to other processes with \
             `.write_behind(WriteBehind::new().worker(false))`"
        );
        let name = writer.spec().name();
        if self.shared.contexts.is_empty() {
            tracing::warn!("this process runs no pending writes; context of `{name}`: {advice}");
            return Ok(());
        }
        Err(ConfigError::new(format!("context of `{name}`"), advice))
    }

    /// Starts the worker where there may be something to do for it.
    pub(crate) fn start(&self, cache: &Arc<Inner>) {
        if writer::all().next().is_some() {
            self.ensure_worker(cache);
        }
    }

    pub(super) fn ensure_worker(&self, cache: &Arc<Inner>) {
        if !self.works || self.is_down() {
            return;
        }
        self.worker.ensure(|| {
            self.shared.begin_anew();
            Supervisor {
                log: self.log.clone(),
                clock: cache.clock.clone(),
                cache: Arc::downgrade(cache),
                shared: Arc::clone(&self.shared),
            }
        });
    }

    /// Why the writer cannot be used on this cache.
    pub(super) fn unusable(&self, writer: &dyn Writer, guarded: &Guarded) -> Option<ConfigError> {
        if guarded.backend().write_log().is_none() {
            return Some(ConfigError::new(
                format!("backend of `{}`", writer.spec().name()),
                format!(
                    "`{}` keeps no write-behind log: use `memory://` or Redis, or implement `WriteLog` for it",
                    guarded.backend().name()
                ),
            ));
        }
        // Another process may have what this one lacks, if it has the log.
        if !is_local(guarded) {
            return None;
        }
        let context = writer.missing(&self.shared.contexts)?;
        Some(no_context(writer, context))
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    /// The right to append; `None` after a shutdown, which waits for those that have it.
    pub(super) fn begin_append(&self) -> Option<Appending<'_>> {
        self.appending.send_modify(|appends| *appends += 1);
        let appending = Appending(&self.appending);
        (!self.is_down()).then_some(appending)
    }

    /// Says once that an in-process log ends with its process.
    pub(super) fn warn_of_memory(&self, guarded: &Guarded) {
        if is_local(guarded)
            && !self
                .said_that_a_crash_loses_it
                .swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "the write-behind log of this cache is in memory: a crash of the process loses pending writes"
            );
        }
    }

    pub(crate) async fn flush(&self, cache: &Arc<Inner>) -> Result<FlushReport, BackendError> {
        self.ensure_worker(cache);
        let mut report = FlushReport::default();
        // A body that waited for its worker would wait for itself.
        if self.works && !is_inside() {
            self.shared.attended(self.shared.options.log_timeout).await;
            report = self.shared.flush(false).await;
        }
        report.remaining = self.remaining().await?;
        Ok(report)
    }

    pub(crate) async fn shut_down(&self, cache: &Arc<Inner>, deadline: Duration) -> FlushReport {
        let mut ended = self.ended.lock().await;
        if let Some(report) = *ended {
            return report;
        }
        let before = self.stats(&LogSize::default());
        self.ensure_worker(cache);
        self.down.store(true, Ordering::SeqCst);
        self.shared.wake_all();
        let drained = async {
            let mut appending = self.appending.subscribe();
            // Errs when the sender is gone, and `self` holds it.
            let _ = appending.wait_for(|appends| *appends == 0).await;
            if self.works && !is_inside() {
                self.shared.attended(deadline).await;
                self.shared.flush(true).await;
            }
        };
        // What is left then is in the report.
        let _ = tokio::time::timeout(deadline, drained).await;
        self.shared.stop();
        self.worker.ended(deadline.max(LEAST_PATIENCE)).await;
        let after = self.stats(&LogSize::default());
        let remaining = self.remaining().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "write-behind log: how many writes remain is not known");
            pending_of(&self.last_size())
        });
        *ended.insert(FlushReport {
            written: after.written - before.written,
            failed: after.failed - before.failed,
            buried: after.buried - before.buried,
            remaining,
            unpublished: 0,
        })
    }

    async fn remaining(&self) -> Result<u64, BackendError> {
        let size = self.log.ask(WriteLog::size).await?;
        let pending = pending_of(&size);
        self.shared.note_size(size);
        Ok(pending)
    }

    pub(crate) fn last_size(&self) -> LogSize {
        self.shared.last_size()
    }

    pub(crate) fn stats(&self, size: &LogSize) -> WriteBehindStats {
        let mut stats = WriteBehindStats {
            pending: pending_of(size),
            lag: size.lag.unwrap_or_default(),
            dead_letters: size.letters,
            partitions: self.shared.owned(),
            ..WriteBehindStats::default()
        };
        self.shared.counts.tell(&mut stats);
        stats
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// An append under way.
pub(super) struct Appending<'a>(&'a watch::Sender<usize>);

impl Drop for Appending<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|appends| *appends -= 1);
    }
}

impl fmt::Debug for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes")
            .field("works", &self.works)
            .finish_non_exhaustive()
    }
}

fn is_local(guarded: &Guarded) -> bool {
    guarded.backend().format() == Format::Typed
}

fn pending_of(size: &LogSize) -> u64 {
    size.pending.iter().map(|(_, pending)| pending).sum()
}

/// The writers of the program that lack a context, with its type.
fn missing(contexts: &Contexts) -> impl Iterator<Item = (&'static dyn Writer, &'static str)> {
    writer::all().filter_map(|writer| Some((writer, writer.missing(contexts)?)))
}

pub(super) fn no_context(writer: &dyn Writer, context: &str) -> ConfigError {
    ConfigError::new(
        format!("context of `{}`", writer.spec().name()),
        format!("it needs `{context}`: give it to the cache with `Cache::builder().provide(…)`"),
    )
}

/// Often enough that a write of another process does not wait much longer than its `flush`.
fn look_every() -> Duration {
    let shortest = writer::all()
        .map(|writer| writer.spec().write_queueing().flush())
        .min();
    shortest.map_or(RAREST_LOOK, |flush| {
        (flush / 4).clamp(MOST_FREQUENT_LOOK, RAREST_LOOK)
    })
}
