//! The one connection: how commands go over it, how its loss is noticed, how it comes back.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, PushInfo, PushKind, RedisError, ServerErrorKind,
    ToRedisArgs, Value,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::clock::{ServerClock, ServerTime};
use super::failure::{self, ConnectFailure};
use super::gather::Gather;
use super::scripts::{Call, PART, Script};
use super::unexpected;
use super::wake::Callers;
use crate::error::{BackendError, BackendErrorKind};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// A refused password is asked again less often: each try is a line in the server's log.
const LONGEST_PAUSE_WHEN_REFUSED: Duration = Duration::from_secs(1);

/// A connection to a server that turned out to be a replica is kept at least this long: else every write would cost the reads
/// theirs.
const KEPT_AT_LEAST: Duration = Duration::from_secs(1);

/// So many commands wait for their turn to be written before their callers have to: with the library's 50 those of a busy process
/// queue twice.
const BUFFER: usize = 1024;

/// How to make a connection.
pub(super) struct Plan {
    pub(super) client: Client,
    pub(super) connect_timeout: Duration,
    /// For logs: no user, no password.
    pub(super) address: String,
}

/// The connection to the server, while there is one.
///
/// While there is none, commands fail at once and a background task tries to make one. The task holds the link weakly, so a
/// dropped backend ends it.
pub(super) struct Link {
    plan: Plan,
    runtime: Handle,
    state: RwLock<State>,
    epochs: AtomicU64,
    /// Questions in a row that were given up without an answer.
    silences: AtomicU32,
    hurry: Notify,
    pub(super) callers: Callers,
    pub(super) gather: Gather,
}

struct State {
    live: Option<Live>,
    connecting: bool,
    why_not: Arc<str>,
    needs_attention: bool,
}

/// A question that has not been answered.
///
/// A peer that takes what is sent and answers nothing keeps its connection alive for ever: a proxy whose server is gone, a server that was
/// replaced behind its balancer. After some such questions the connection is made anew.
pub(super) struct Silence {
    /// The connection on which it was asked; none where there was none.
    asked: Option<(Arc<Link>, u64)>,
    /// Given up before this, it says nothing; none is never.
    due: Option<Instant>,
    most: u32,
}

impl Silence {
    /// An answer came, be it an error.
    pub(super) fn broken(mut self) {
        if let Some((link, _)) = self.asked.take() {
            link.silences.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let Some((link, epoch)) = self.asked.take() else {
            return;
        };
        // One of a connection before this one says nothing of this one.
        if self.due.is_none_or(|due| Instant::now() < due) || !link.is_current(epoch) {
            return;
        }
        if link.silences.fetch_add(1, Ordering::Relaxed) + 1 >= self.most {
            link.silences.store(0, Ordering::Relaxed);
            link.lost(epoch);
        }
    }
}

/// A connection with the number that tells it from the ones before it.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) connection: MultiplexedConnection,
    pub(super) epoch: u64,
    since: Instant,
    clock: Arc<ServerClock>,
}

impl Link {
    /// Makes the first attempt; where it fails, a background task makes the next ones.
    ///
    /// Must be called in a tokio runtime: connection and task belong to it.
    pub(super) async fn open(plan: Plan) -> Arc<Self> {
        let state = State {
            live: None,
            connecting: true,
            why_not: "not connected yet".into(),
            needs_attention: false,
        };
        let link = Arc::new(Self {
            plan,
            runtime: Handle::current(),
            state: RwLock::new(state),
            epochs: AtomicU64::new(0),
            silences: AtomicU32::new(0),
            hurry: Notify::new(),
            callers: Callers::default(),
            gather: Gather::default(),
        });
        match link.attempt(Arc::downgrade(&link)).await {
            Ok(fresh) => link.install(fresh),
            Err(failure) => {
                link.note(&failure);
                if !failure.needs_attention {
                    let address = &link.plan.address;
                    tracing::warn!(%address, reason = failure.reason, "Redis cannot be reached; the cache starts without it and keeps trying");
                }
                link.runtime
                    .spawn(reconnect(Arc::downgrade(&link), FIRST_PAUSE));
            }
        }
        link
    }

    /// The connection, if there is one.
    pub(super) fn live(&self) -> Result<Live, BackendError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &state.live {
            Some(live) => Ok(live.clone()),
            None => Err(BackendError::new(
                BackendErrorKind::Unavailable,
                format!("no connection to Redis: {}", state.why_not),
            )),
        }
    }

    /// Sends a command; what the server refuses is an error.
    pub(super) async fn send(self: &Arc<Self>, command: &Cmd) -> Result<Value, BackendError> {
        let reply = self.send_raw(command).await?;
        self.accept(reply)
    }

    /// Sends a command; what the server answers is handed on, an error too.
    pub(super) async fn send_raw(self: &Arc<Self>, command: &Cmd) -> Result<Value, BackendError> {
        let mut live = self.live()?;
        let reply = live.connection.send_packed_command(command).await;
        reply.map_err(|error| self.broke(&error, live.epoch))
    }

    /// Sends commands in one round trip. Each reply may be an error.
    pub(super) async fn send_all(
        self: &Arc<Self>,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, BackendError> {
        let mut live = self.live()?;
        let replies = live
            .connection
            .send_packed_commands(commands, 0, commands.len())
            .await;
        replies.map_err(|error| self.broke(&error, live.epoch))
    }

    /// Sends a command that reads entries, and gives the server's time when the reply came. That is asked for on the way where it is
    /// not known well enough.
    pub(super) async fn read(
        self: &Arc<Self>,
        command: &Cmd,
    ) -> Result<(Value, ServerTime), BackendError> {
        let mut live = self.live()?;
        if live.clock.is_due(Instant::now()) {
            let mut commands = Pipeline::with_capacity(2);
            commands.add_command(command.clone());
            // In a box: it is rare, and every read would be as large.
            let (mut replies, now) = Box::pin(self.read_with_time(live, commands)).await?;
            return Ok((replies.pop().unwrap_or(Value::Nil), now));
        }
        let reply = live.connection.send_packed_command(command).await;
        let reply = reply.map_err(|error| self.broke(&error, live.epoch))?;
        Ok((reply, live.clock.at(Instant::now())))
    }

    /// [`read`](Self::read) of many.
    pub(super) async fn read_all(
        self: &Arc<Self>,
        commands: Pipeline,
    ) -> Result<(Vec<Value>, ServerTime), BackendError> {
        self.read_with_time(self.live()?, commands).await
    }

    /// The server's time, asked for where it is not known well enough.
    pub(super) async fn time(self: &Arc<Self>) -> Result<ServerTime, BackendError> {
        let live = self.live()?;
        if live.clock.is_due(Instant::now()) {
            let (_, now) = self.read_with_time(live, Pipeline::new()).await?;
            return Ok(now);
        }
        Ok(live.clock.at(Instant::now()))
    }

    async fn read_with_time(
        self: &Arc<Self>,
        mut live: Live,
        mut commands: Pipeline,
    ) -> Result<(Vec<Value>, ServerTime), BackendError> {
        commands.cmd("TIME");
        let sent = Instant::now();
        let replies = live
            .connection
            .send_packed_commands(&commands, 0, commands.len())
            .await;
        let mut replies = replies.map_err(|error| self.broke(&error, live.epoch))?;
        if let Some(time) = replies.pop() {
            live.clock.note(&time, sent);
        }
        Ok((replies, live.clock.at(Instant::now())))
    }

    /// Runs a script.
    pub(super) async fn run<N: ToRedisArgs>(
        self: &Arc<Self>,
        script: &Script,
        call: Call<'_, N>,
    ) -> Result<Value, BackendError> {
        let reply = self.run_raw(script, call).await?;
        self.accept(reply)
    }

    /// Runs a script, with its source if the server does not know it.
    async fn run_raw<N: ToRedisArgs>(
        self: &Arc<Self>,
        script: &Script,
        call: Call<'_, N>,
    ) -> Result<Value, BackendError> {
        let reply = self.send_raw(&script.call(call)).await?;
        if is_unknown_script(&reply) {
            return self.send_raw(&script.call_with_source(call)).await;
        }
        Ok(reply)
    }

    /// Runs a script many times in one round trip, with a second one if the server does not know it. Each reply may be an error.
    pub(super) async fn run_all<'a, N: ToRedisArgs + 'a>(
        self: &Arc<Self>,
        script: &Script,
        mut calls: impl Iterator<Item = Call<'a, N>> + Clone,
    ) -> Result<Vec<Value>, BackendError> {
        let all = calls.clone();
        let (Some(first), second) = (calls.next(), calls.next()) else {
            return Ok(Vec::new());
        };
        if second.is_none() {
            return Ok(vec![self.run_raw(script, first).await?]);
        }
        let mut commands = Pipeline::new();
        for call in all.clone() {
            commands.add_command(script.call(call));
        }
        let mut replies = self.send_all(&commands).await?;
        let unknown: Vec<usize> = (0..replies.len())
            .filter(|&at| is_unknown_script(&replies[at]))
            .collect();
        if unknown.is_empty() {
            return Ok(replies);
        }
        let mut again = Pipeline::new();
        for (at, call) in all.enumerate() {
            if unknown.binary_search(&at).is_ok() {
                again.add_command(script.call_with_source(call));
            }
        }
        for (at, reply) in unknown.into_iter().zip(self.send_all(&again).await?) {
            replies[at] = reply;
        }
        Ok(replies)
    }

    /// Runs a script that works on each of its entries, and answers the time and then nothing but errors, on all of these in parts.
    pub(super) async fn run_on_all<N: ToRedisArgs + Sync>(
        self: &Arc<Self>,
        script: &Script,
        entries: &[[N; 2]],
    ) -> Result<(), BackendError> {
        let call = Call {
            entries,
            shared: &[],
            own: &[],
        };
        let replies = self.run_all(script, call.parts(PART)).await?;
        for reply in replies {
            let Value::Array(answers) = self.accept(reply)? else {
                return Err(unexpected());
            };
            answers
                .into_iter()
                .try_for_each(|answer| self.accept(answer).map(drop))?;
        }
        Ok(())
    }

    /// Takes a reply, unless it is an error of the server.
    pub(super) fn accept(self: &Arc<Self>, reply: Value) -> Result<Value, BackendError> {
        let Value::ServerError(error) = reply else {
            return Ok(reply);
        };
        if failure::is_of_another_role(&error) {
            self.leave_old_connection();
        }
        Err(failure::answered(&error))
    }

    /// Whether this connection is still the one in use.
    pub(super) fn is_current(&self, epoch: u64) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.live.as_ref().is_some_and(|live| live.epoch == epoch)
    }

    /// Notices when a question gets no answer within `patience`, whether the caller waits for it or drops it. The connection is left after `most` of them in a row.
    pub(super) fn listen(self: &Arc<Self>, most: u32, patience: Duration) -> Silence {
        let live = self.live().ok();
        Silence {
            asked: live.map(|live| (Arc::clone(self), live.epoch)),
            due: Instant::now().checked_add(patience),
            most,
        }
    }

    /// Has the background task try now rather than after its pause.
    pub(super) fn hurry(&self) {
        self.hurry.notify_one();
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// What a failed command means for the connection on which it went.
    pub(super) fn broke(self: &Arc<Self>, error: &RedisError, epoch: u64) -> BackendError {
        if error.is_unrecoverable_error() || error.is_connection_dropped() || error.is_io_error() {
            self.lost(epoch);
        }
        failure::broken(error)
    }

    /// After a failover the server is a replica; its address may lead to the new master now.
    fn leave_old_connection(self: &Arc<Self>) {
        let live = self
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .live
            .clone();
        if let Some(live) = live.filter(|live| live.since.elapsed() >= KEPT_AT_LEAST) {
            self.lost(live.epoch);
        }
    }

    /// Removes the connection, if it is still this one, and begins to make another.
    fn lost(self: &Arc<Self>, epoch: u64) {
        let old = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            if state.live.as_ref().is_none_or(|live| live.epoch != epoch) {
                return;
            }
            state.connecting = true;
            state.why_not = "connection lost".into();
            state.live.take()
        };
        // Outside of the lock: to drop the last handle ends the connection's task.
        drop(old);
        tracing::warn!(address = %self.plan.address, "connection to Redis lost; reconnecting");
        self.callers.wake_all();
        self.runtime
            .spawn(reconnect(Arc::downgrade(self), Duration::ZERO));
    }

    fn install(self: &Arc<Self>, fresh: Fresh) {
        let live = Live {
            connection: fresh.connection,
            epoch: fresh.epoch,
            since: Instant::now(),
            clock: fresh.clock,
        };
        self.silences.store(0, Ordering::Relaxed);
        self.gather.latest.forget();
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.live = Some(live);
            state.connecting = false;
            state.needs_attention = false;
        }
        // It may have closed before it was in its place, when nobody could take it out.
        if fresh.closed.load(Ordering::SeqCst) {
            self.lost(fresh.epoch);
        }
    }

    /// Keeps the reason for the errors of commands, and says once what will not heal by itself.
    fn note(&self, failure: &ConnectFailure) {
        let first = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.why_not = failure.reason.as_str().into();
            let first = failure.needs_attention && !state.needs_attention;
            state.needs_attention |= failure.needs_attention;
            first
        };
        if first {
            tracing::error!(address = %self.plan.address, reason = failure.reason, "Redis cannot be used; the cache goes on without it and keeps trying");
        }
    }

    async fn attempt(&self, link: Weak<Self>) -> Result<Fresh, ConnectFailure> {
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        let closed = Arc::new(AtomicBool::new(false));
        let on_push = {
            let closed = Arc::clone(&closed);
            move |push: PushInfo| -> Result<(), BackendError> {
                receive(&link, &closed, epoch, &push);
                Ok(())
            }
        };
        let config = AsyncConnectionConfig::new()
            // The caller bounds every operation in time, and a wait may take long.
            .set_response_timeout(None)
            .set_connection_timeout(Some(self.plan.connect_timeout))
            .set_pipeline_buffer_size(BUFFER)
            .set_push_sender(on_push);
        let made = async {
            let mut connection = self
                .plan
                .client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let mut greeting = Pipeline::with_capacity(2);
            greeting.cmd("PING").cmd("TIME");
            let clock = Arc::new(ServerClock::new());
            let sent = Instant::now();
            let replies = connection.send_packed_commands(&greeting, 0, 2).await?;
            if let Some(time) = replies.get(1) {
                clock.note(time, sent);
            }
            let pong = replies.into_iter().next().unwrap_or(Value::Nil);
            Ok::<_, RedisError>((connection, pong, clock))
        };
        match tokio::time::timeout(self.plan.connect_timeout, made).await {
            Ok(Ok((connection, pong, clock))) => {
                failure::greeting(&pong)?;
                Ok(Fresh {
                    connection,
                    clock,
                    epoch,
                    closed,
                })
            }
            Ok(Err(error)) => Err(failure::connecting(&error)),
            Err(_) => Err(ConnectFailure {
                reason: "no answer in time".into(),
                needs_attention: false,
            }),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Link")
            .field("address", &self.plan.address)
            .field("connected", &state.live.is_some())
            .finish_non_exhaustive()
    }
}

struct Fresh {
    connection: MultiplexedConnection,
    clock: Arc<ServerClock>,
    epoch: u64,
    closed: Arc<AtomicBool>,
}

/// What the server sends unasked. Runs in the connection's own task, so it must not block.
fn receive(link: &Weak<Link>, closed: &AtomicBool, epoch: u64, push: &PushInfo) {
    let Some(link) = link.upgrade() else { return };
    match (&push.kind, push.data.first()) {
        (PushKind::Disconnection, _) => {
            closed.store(true, Ordering::SeqCst);
            link.lost(epoch);
        }
        (PushKind::Message, Some(Value::BulkString(channel))) => link.callers.wake(channel),
        _ => {}
    }
}

/// Tries until there is a connection or the link is gone.
async fn reconnect(link: Weak<Link>, first_pause: Duration) {
    let mut pause = first_pause;
    loop {
        if !pause.is_zero() {
            let Some(strong) = link.upgrade() else { return };
            let _ = tokio::time::timeout(pause, strong.hurry.notified()).await;
        }
        let Some(strong) = link.upgrade() else { return };
        match strong.attempt(Weak::clone(&link)).await {
            Ok(fresh) => {
                strong.install(fresh);
                tracing::info!(address = %strong.plan.address, "connected to Redis");
                return;
            }
            Err(failure) => {
                strong.note(&failure);
                let longest = if failure.needs_attention {
                    LONGEST_PAUSE_WHEN_REFUSED
                } else {
                    LONGEST_PAUSE
                };
                pause = (pause * 2).clamp(FIRST_PAUSE, longest);
            }
        }
    }
}

fn is_unknown_script(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}
