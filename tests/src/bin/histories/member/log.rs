//! What a member says, in the order in which it came about.

use std::io::Write;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock::Moment;
use crate::words::Word;

/// How often what was noted is sent.
const SEND_EVERY: Duration = Duration::from_millis(2);

/// So much text waits to be sent at most, but for what is under way.
const FULL: usize = 1 << 20;

/// What has been noted and not been sent.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<String>);

impl Log {
    /// A log whose content is sent by a thread of its own.
    pub(super) fn start() -> Arc<Self> {
        let log = Arc::new(Self::default());
        let sent = Arc::clone(&log);
        thread::spawn(move || {
            loop {
                thread::sleep(SEND_EVERY);
                let mut text = sent.text();
                Word::Mark(Moment::now()).put(&mut text);
                text.push('\n');
                let text = std::mem::take(&mut *text);
                if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
                    process::exit(1);
                }
            }
        });
        log
    }

    fn text(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what has just come to its end. The time is taken under the lock: what is said is in the order of its times.
    pub(super) fn note(&self, word: impl FnOnce(Moment) -> Word) {
        let mut text = self.text();
        word(Moment::now()).put(&mut text);
        text.push('\n');
    }

    /// Returns when there is room.
    pub(super) async fn room(&self) {
        while self.text().len() > FULL {
            tokio::time::sleep(SEND_EVERY).await;
        }
    }
}
