//! A bus that can be away, and that can lack what it needs to keep its promises.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_runtime::backend::{BackendFuture, Token};
use cache_runtime::bus::{
    Backlog, Bus, Delivered, Event, Group, Position, Published, Read, Retention,
};
use cache_runtime::{BackendError, BackendErrorKind};

/// Hands everything on to another bus, unless a fault is switched on.
#[derive(Debug, Clone)]
pub struct FaultyBus<B> {
    bus: B,
    faults: Arc<BusFaults>,
}

/// What is wrong with the bus.
#[derive(Debug, Default)]
pub struct BusFaults {
    /// Nothing can be published: an error at once.
    pub refuses: AtomicBool,
    /// Publishing takes for ever.
    pub hangs: AtomicBool,
    /// Publishing panics, and reading.
    pub panics: AtomicBool,
    /// Events are acknowledged when they are read.
    pub acknowledges_first: AtomicBool,
    /// Nobody takes over what a process left.
    pub claims_nothing: AtomicBool,
    /// Whoever publishes is told that what it had published is lost.
    pub forgets_always: AtomicBool,
    /// Nobody notices that events were lost.
    pub forgets_quietly: AtomicBool,
    /// What happens just before a group is made.
    pub before_join: Happening,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that happens once, when a test has it happen.
#[derive(Default)]
pub struct Happening(Mutex<Option<Work>>);

impl Happening {
    /// Has this happen the next time.
    pub fn set(&self, work: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::pin(work));
    }

    async fn happen(&self) {
        let work = self.0.lock().unwrap().take();
        if let Some(work) = work {
            work.await;
        }
    }
}

impl fmt::Debug for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Happening")
    }
}

impl<B: Bus> FaultyBus<B> {
    /// A bus in working order, and the switches of its faults.
    pub fn new(bus: B) -> (Self, Arc<BusFaults>) {
        let faults = Arc::<BusFaults>::default();
        let this = Self {
            bus,
            faults: Arc::clone(&faults),
        };
        (this, faults)
    }
}

impl<B: Bus> Bus for FaultyBus<B> {
    fn name(&self) -> &'static str {
        self.bus.name()
    }

    fn namespace(&self) -> Option<&str> {
        self.bus.namespace()
    }

    fn publish<'a>(
        &'a self,
        sender: Token,
        number: u64,
        events: &'a [Event],
    ) -> BackendFuture<'a, Published> {
        Box::pin(async move {
            if self.faults.hangs.load(SeqCst) {
                std::future::pending::<()>().await;
            }
            assert!(!self.faults.panics.load(SeqCst), "as told by the test");
            if self.faults.refuses.load(SeqCst) {
                let kind = BackendErrorKind::Unavailable;
                return Err(BackendError::new(kind, "refused by the test"));
            }
            if self.faults.forgets_always.load(SeqCst) {
                return Ok(Published::Forgotten);
            }
            if self.faults.forgets_quietly.load(SeqCst) {
                // As another sender each time: there is nothing to compare with.
                if events.is_empty() {
                    return Ok(Published::Done);
                }
                return self.bus.publish(Token::fresh(), 1, events).await;
            }
            self.bus.publish(sender, number, events).await
        })
    }

    fn join<'a>(&'a self, group: &'a Group) -> BackendFuture<'a, Option<Token>> {
        Box::pin(async move {
            self.faults.before_join.happen().await;
            let flush = self.bus.join(group).await?;
            Ok(flush.filter(|_| !self.faults.forgets_quietly.load(SeqCst)))
        })
    }

    fn flushed<'a>(&'a self, group: &'a Group, flush: Token) -> BackendFuture<'a, ()> {
        self.bus.flushed(group, flush)
    }

    fn read<'a>(
        &'a self,
        group: &'a Group,
        process: Token,
        read: Read,
        most: usize,
        wait: Duration,
    ) -> BackendFuture<'a, Option<Vec<Delivered>>> {
        assert!(!self.faults.panics.load(SeqCst), "as told by the test");
        Box::pin(async move {
            let events = self.bus.read(group, process, read, most, wait).await?;
            if self.faults.acknowledges_first.load(SeqCst) {
                let found = events.iter().flatten();
                let positions: Vec<Position> = found.map(|event| event.position).collect();
                self.bus.acknowledge(group, &positions).await?;
            }
            Ok(events)
        })
    }

    fn claim<'a>(
        &'a self,
        group: &'a Group,
        process: Token,
        idle: Duration,
        most: usize,
    ) -> BackendFuture<'a, Vec<Delivered>> {
        if self.faults.claims_nothing.load(SeqCst) {
            return Box::pin(async { Ok(Vec::new()) });
        }
        self.bus.claim(group, process, idle, most)
    }

    fn acknowledge<'a>(
        &'a self,
        group: &'a Group,
        positions: &'a [Position],
    ) -> BackendFuture<'a, ()> {
        self.bus.acknowledge(group, positions)
    }

    fn trim(&self, retention: Retention) -> BackendFuture<'_, Vec<String>> {
        self.bus.trim(retention)
    }

    fn backlog<'a>(&'a self, group: &'a Group) -> BackendFuture<'a, Option<Backlog>> {
        self.bus.backlog(group)
    }

    fn leave<'a>(&'a self, group: &'a Group, process: Token) -> BackendFuture<'a, ()> {
        self.bus.leave(group, process)
    }
}
