//! Waiting for the end of another's lease: one subscription for all who wait for one key.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::sync::Notify;

use super::link::{Link, Live};
use super::names::{Name, Names};
use super::scripts::{self, Call};
use super::{failure, unexpected};
use crate::backend::Token;
use crate::error::BackendError;
use crate::key::Key;

/// How often a user who may not subscribe asks again.
const POLL: Duration = Duration::from_millis(25);

/// The server judges a lease in whole milliseconds of its own clock.
const ROUNDING: Duration = Duration::from_millis(2);

/// A server that hangs must not keep a link alive whose backend was dropped. Given up, the channel may stay subscribed: its messages
/// find nobody, and the next caller subscribes again.
const LEAVE: Duration = Duration::from_secs(5);

/// Who waits in this process, by channel.
#[derive(Default)]
pub(super) struct Callers {
    topics: Mutex<HashMap<Box<[u8]>, Arc<Topic>>>,
    warned: AtomicBool,
}

/// One channel.
///
/// It stays in the table from its first caller until the server has confirmed the end of its subscription, and whoever subscribes or
/// unsubscribes holds `subscribed`: so the two never overtake each other.
#[derive(Default)]
struct Topic {
    called: Notify,
    /// The connection on which the channel is subscribed.
    subscribed: tokio::sync::Mutex<Subscribed>,
    seats: Mutex<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Subscribed {
    #[default]
    No,
    /// Asked for on this connection, and not known to have failed.
    Maybe(u64),
    Yes(u64),
}

impl Callers {
    fn topics(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Arc<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message came on the channel.
    pub(super) fn wake(&self, channel: &[u8]) {
        if let Some(topic) = self.topics().get(channel) {
            topic.called.notify_waiters();
        }
    }

    /// The connection is gone, and messages with it.
    pub(super) fn wake_all(&self) {
        for topic in self.topics().values() {
            topic.called.notify_waiters();
        }
    }

    fn join(&self, channel: Box<[u8]>, link: &Arc<Link>) -> Seat {
        let mut topics = self.topics();
        let topic = Arc::clone(topics.entry(channel.clone()).or_default());
        *topic.seats() += 1;
        drop(topics);
        Seat {
            link: Arc::clone(link),
            channel,
            topic,
        }
    }
}

impl Topic {
    /// Only ever locked under the lock of the table, or where that is not needed because a seat is held.
    fn seats(&self) -> MutexGuard<'_, usize> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait for a channel.
struct Seat {
    link: Arc<Link>,
    channel: Box<[u8]>,
    topic: Arc<Topic>,
}

impl Seat {
    /// Returns when the server has confirmed the subscription. `false` if it refused it.
    async fn subscribe(&self, live: &Live) -> Result<bool, BackendError> {
        let mut subscribed = self.topic.subscribed.lock().await;
        if *subscribed == Subscribed::Yes(live.epoch) {
            return Ok(true);
        }
        // Should this future be dropped on the way, the channel may be subscribed all the same.
        *subscribed = Subscribed::Maybe(live.epoch);
        match live.connection.clone().subscribe(&self.channel[..]).await {
            Ok(()) => {
                *subscribed = Subscribed::Yes(live.epoch);
                Ok(true)
            }
            Err(error) if error.code().is_some() => {
                *subscribed = Subscribed::No;
                if !self.link.callers.warned.swap(true, Ordering::Relaxed) {
                    let reason = failure::broken(&error);
                    tracing::warn!(%reason, "Redis refuses subscriptions: loads of other processes are waited for by polling");
                }
                Ok(false)
            }
            Err(error) => Err(self.link.broke(&error, live.epoch)),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let last = {
            let mut seats = self.topic.seats();
            *seats -= 1;
            *seats == 0
        };
        if last {
            let (link, channel, topic) = (
                Arc::clone(&self.link),
                std::mem::take(&mut self.channel),
                Arc::clone(&self.topic),
            );
            self.link.runtime().spawn(leave(link, channel, topic));
        }
    }
}

/// Ends the subscription, unless somebody came meanwhile.
async fn leave(link: Arc<Link>, channel: Box<[u8]>, topic: Arc<Topic>) {
    let mut subscribed = topic.subscribed.lock().await;
    if *topic.seats() > 0 {
        return;
    }
    if let (Subscribed::Maybe(epoch) | Subscribed::Yes(epoch), Ok(mut live)) =
        (*subscribed, link.live())
        && live.epoch == epoch
        && let Ok(Err(error)) =
            tokio::time::timeout(LEAVE, live.connection.unsubscribe(&channel[..])).await
    {
        let _ = link.broke(&error, epoch);
    }
    *subscribed = Subscribed::No;
    let mut topics = link.callers.topics();
    // A caller that came in the meantime subscribes afresh, as soon as the lock is free.
    if *topic.seats() == 0
        && topics
            .get(&channel)
            .is_some_and(|current| Arc::ptr_eq(current, &topic))
    {
        topics.remove(&channel);
    }
}

/// Waits for the end of the lease, at most for `patience`.
pub(super) async fn wait(
    link: &Arc<Link>,
    names: &Names,
    key: &Key,
    token: Token,
    patience: Duration,
) -> Result<(), BackendError> {
    let waiting = call(link, names, key, token, patience);
    tokio::time::timeout(patience, waiting)
        .await
        .unwrap_or(Ok(()))
}

async fn call(
    link: &Arc<Link>,
    names: &Names,
    key: &Key,
    token: Token,
    patience: Duration,
) -> Result<(), BackendError> {
    let live = link.live()?;
    let seat = link.callers.join(names.channel(key).to_bytes(), link);
    // In line from here on, before its first poll: what is published after the subscription is not missed, whenever the lease
    // is looked at.
    let called = pin!(seat.topic.called.notified());
    let subscribed = seat.subscribe(&live).await?;
    let Some(left) = lease_left(link, [names.value(key), names.state(key)], token).await? else {
        return Ok(());
    };
    if !subscribed {
        tokio::time::sleep(left.min(patience).min(POLL)).await;
    } else if link.is_current(live.epoch) {
        // The holder may be dead: then nobody calls, and the end is the lease's own.
        backstop(called, left.min(patience)).await;
    }
    Ok(())
}

async fn backstop(called: impl Future<Output = ()>, left: Duration) {
    let _ = tokio::time::timeout(left, called).await;
}

/// How long the lease still lives, with the promise that its end is published.
async fn lease_left(
    link: &Arc<Link>,
    entry: [Name<'_>; 2],
    token: Token,
) -> Result<Option<Duration>, BackendError> {
    let token = token.to_string();
    let call = Call {
        entries: &[entry],
        shared: &[],
        own: &[token.as_bytes()],
    };
    match link.run(&scripts::WAIT, call).await? {
        Value::Int(left) => Ok(u64::try_from(left)
            .ok()
            .map(|left| Duration::from_millis(left) + ROUNDING)),
        _ => Err(unexpected()),
    }
}
