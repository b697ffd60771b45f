//! Pending writes of write-behind writers: flushing them, ending with them, and what became of those that failed.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::{Cache, Inner};
use crate::backend::Format;
use crate::backend::log::WriteLog;
use crate::error::Error;
use crate::guard::without_timers;
use crate::pattern::write_behind::letters::{self, DeadLetter, Retried};
use crate::pattern::write_behind::report::{FlushReport, WriteBehindStats};

impl Cache {
    /// Runs all writes that are pending now and whose part of the log this process owns, without waiting for their `flush` or `batch`, and returns when each has been
    /// run once. Those that failed and wait to be tried again are left to their time.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use cache_runtime::{Cache, Error, cached};
    ///
    /// type Db = Arc<Mutex<Vec<(u64, String)>>>;
    ///
    /// #[cached(pattern = "write-behind", key = "name:<id>", value = name)]
    /// async fn save_name(#[context] db: &Db, id: u64, name: String) -> Result<(), Error> {
    ///     db.lock().unwrap().push((id, name));
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let db = Db::default();
    /// let cache = Cache::builder().provide(db.clone()).build().await?;
    /// cache.scope(save_name(1, "Ada".to_owned())).await?;
    /// assert!(db.lock().unwrap().is_empty());
    /// let report = cache.flush_now().await?;
    /// assert_eq!((report.written, report.remaining), (1, 0));
    /// assert_eq!(db.lock().unwrap().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] if the log cannot be reached, or there is none.
    pub async fn flush_now(&self) -> Result<FlushReport, Error> {
        Ok(self.inner.writes.flush(&self.inner).await?)
    }

    /// Ends write-behind in this process: takes no further writes ([`Error::ShutDown`]), runs those that are pending in its part of the log, those that wait to be tried again
    /// among them, until they are over or `deadline` has passed, and gives its part to other processes.
    ///
    /// What remains then is in the report. On Redis it stays in the log, for other processes or the next start; in memory it ends with the process. A body that still
    /// runs at the deadline is dropped.
    ///
    /// On a bus it also waits, until the deadline, for the invalidations that are not published yet. It goes on to carry out those of other regions.
    pub async fn shutdown(&self, deadline: Duration) -> FlushReport {
        let began = Instant::now();
        let mut report = self.inner.writes.shut_down(&self.inner, deadline).await;
        // What the last bodies changed is to be told too.
        let left = deadline.saturating_sub(began.elapsed());
        report.unpublished = self.inner.drain_events(left).await.err().unwrap_or(0);
        report
    }

    /// The writes that were given up, in the order of their sequence numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] if the log cannot be reached, or there is none.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        letters::all(&self.inner).await
    }

    /// Appends a dead letter to the log again, as the newest write of its key, with a sequence number of its own. A writer without `merge` says what
    /// its key is to be: if a later write has said so since, the letter goes and nothing else is done.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] if the log cannot be reached, or there is none; [`Error::NotLogged`] if it did not acknowledge the write.
    pub async fn retry_dead_letter(&self, sequence: u64) -> Result<Retried, Error> {
        let retried = letters::retry(&self.inner, sequence).await?;
        if let Retried::Pending(_) = retried {
            self.inner.writes.start(&self.inner);
        }
        Ok(retried)
    }

    /// Throws a dead letter away; `false` if there is none of this number.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] if the log cannot be reached, or there is none.
    pub async fn discard_dead_letter(&self, sequence: u64) -> Result<bool, Error> {
        letters::discard(&self.inner, sequence).await
    }
}

impl Inner {
    pub(super) fn write_behind_stats(&self) -> WriteBehindStats {
        let mut size = self.writes.last_size();
        let backend = self.guarded.backend();
        // A log in this process answers at once.
        if backend.format() == Format::Typed
            && let Some(log) = backend.write_log()
        {
            let mut asked = pin!(WriteLog::size(log));
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(Ok(now)) = without_timers(|| asked.as_mut().poll(&mut cx)) {
                size = now;
            }
        }
        self.writes.stats(&size)
    }
}
