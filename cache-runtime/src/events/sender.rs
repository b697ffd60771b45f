//! Publishes what is in the outbox.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::outbox::Batch;
use super::{Absence, Pauses, Shared};
use crate::backend::Token;
use crate::bus::{Event, Published, What};
use crate::error::{BackendError, BackendErrorKind};
use crate::mutants::{self, Mutant};
use crate::pattern::write_behind::writer::panicked;
use crate::race;

/// The one sender of a process.
///
/// It numbers its batches, and the bus keeps the last number: a batch that is sent again is not published twice, and a bus that has lost
/// what it had acknowledged is found out, with the next batch or by a question from time to time.
#[derive(Debug)]
pub(super) struct Sender {
    shared: Arc<Shared>,
    token: Token,
    /// The last batch that was acknowledged.
    number: u64,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            token: Token::fresh(),
            number: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let closing = shared.closing.is_closed();
            let batch = shared.outbox.take(&shared.group, shared.clock.now());
            match batch {
                Some(batch) => {
                    if !self.send(batch).await {
                        return;
                    }
                }
                None if closing => return,
                None => {
                    let news = async {
                        let put = pin!(shared.outbox.news());
                        race::first(put, pin!(shared.closing.closed())).await;
                    };
                    let pause = shared.options.look_every();
                    if tokio::time::timeout(pause, news).await.is_err() {
                        self.ask_for_last().await;
                    }
                }
            }
        }
    }

    /// Sends until it is acknowledged. `false`: the cache is gone, and the bus too.
    async fn send(&mut self, Batch { mut events }: Batch) -> bool {
        let clock = self.shared.clock.clone();
        let (mut pauses, mut absence) = (Pauses::new(), Absence::default());
        let (mut waited_to, mut was_forgotten) = (clock.now(), false);
        loop {
            // What waits here waits for the bus too.
            let now = clock.now();
            for event in &mut events {
                event.waited += now.since(waited_to);
            }
            waited_to = now;
            match self.publish(self.number + 1, &events).await {
                Ok(Published::Done) => {
                    self.number += 1;
                    self.shared.counts.published.add(events.len() as u64);
                    self.shared.outbox.published();
                    return true;
                }
                Ok(Published::Forgotten) => {
                    absence.ended();
                    let is_for_origin = events.iter().any(|event| event.is_for_origin);
                    events = vec![self.everything(is_for_origin)];
                    // Once is a bus that has lost something; one that has nothing to compare with and says it again is out of order.
                    if std::mem::replace(&mut was_forgotten, true) {
                        if self.shared.closing.is_closed() {
                            return false;
                        }
                        tokio::time::sleep(pauses.next()).await;
                    }
                }
                Err(error) => {
                    self.shared.counts.failed_sends.add(1);
                    let problem = "events for other regions are not published; they are sent again";
                    self.shared.complain(&mut absence, &error, problem);
                    if self.shared.closing.is_closed() {
                        return false;
                    }
                    tokio::time::sleep(pauses.next()).await;
                }
            }
        }
    }

    /// Asks the bus. That it panics is an error like another: the events still have to be told.
    async fn publish(&self, number: u64, events: &[Event]) -> Result<Published, BackendError> {
        let shared = &self.shared;
        // The call may panic, and not only what it returns.
        let published = async { shared.bus.publish(self.token, number, events).await };
        let published = race::caught(shared.ask(Duration::ZERO, published)).await;
        if matches!(published, Ok(Ok(Published::Forgotten)))
            && mutants::on(Mutant::ForgottenBatchTakenForDone)
        {
            return Ok(Published::Done);
        }
        published.unwrap_or_else(|panic| {
            let (bus, panic) = (shared.bus.name(), panicked(&*panic));
            tracing::error!(bus, panic, "events for other regions are not published");
            Err(BackendError::new(BackendErrorKind::Rejected, panic))
        })
    }

    /// Finds out whether the bus still has what it acknowledged.
    async fn ask_for_last(&mut self) {
        // It has been sent nothing, and so can have lost nothing.
        if self.number == 0 {
            return;
        }
        match self.publish(self.number, &[]).await {
            Ok(Published::Done) => {}
            Ok(Published::Forgotten) => {
                let events = vec![self.everything(false)];
                self.send(Batch { events }).await;
            }
            Err(error) => {
                tracing::debug!(%error, "the bus does not tell what it knows of this process");
            }
        }
    }

    /// What is to be told of events that nobody may ever read; from here on as another sender, with whom the bus compares nothing.
    fn everything(&mut self, is_for_origin: bool) -> Event {
        tracing::warn!(
            bus = self.shared.bus.name(),
            "the bus has lost events that it had acknowledged: other regions will invalidate their namespace"
        );
        self.shared.counts.forgotten.add(1);
        (self.token, self.number) = (Token::fresh(), 0);
        Event {
            origin: self.shared.group.clone(),
            is_for_origin,
            waited: Duration::ZERO,
            what: What::Everything,
        }
    }
}
