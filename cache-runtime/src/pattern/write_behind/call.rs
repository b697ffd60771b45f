//! What a call of a write-behind writer does.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::state::no_context;
use super::worker::is_inside;
use super::writer::{Arguments, Behind, Failure, Keeper, ToKeep, WriteArgument, Writer, path_of};
use crate::backend::log::{Append, Appended, partition_of};
use crate::cache::{self, Cache};
use crate::error::Error;
use crate::invalidation::Keys;
use crate::invalidation::owed::Owed;
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::race;
use crate::shape::Shape;
use crate::spec::WhenFull;

/// How often a call that waits for room asks again. Where the room is made by this process it is told.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const RAREST_LOOK: Duration = Duration::from_secs(1);

/// An error type that can say that a write was not logged.
#[diagnostic::on_unimplemented(
    message = "a write-behind writer's error type must be able to say that the write was not logged: `{Self}` cannot be made from `cache_runtime::Error`",
    label = "needs `From<cache_runtime::Error>`",
    note = "the call ends when the write is in the log; return `Result<(), E>` with `impl From<cache_runtime::Error> for E`"
)]
pub trait LogError: From<Error> {}

impl<E: From<Error>> LogError for E {}

/// How a writer says that its write was not logged. Asked for on its own, so that a type which cannot say it is reported at the writer's return
/// type.
pub fn unlogged<S>(_: &S) -> fn(Error) -> S::Error
where
    S: Shape,
    S::Error: LogError,
{
    S::Error::from
}

/// Logs the write, and puts its value into the cache.
pub async fn write_behind<A, S>(
    writer: &'static Behind<A>,
    given: Option<Cache>,
    key: Key,
    arguments: A,
    shape: S,
    unlogged: fn(Error) -> S::Error,
) -> S::Output
where
    A: WriteArgument,
    S: Shape<Value = ()>,
    S::Error: 'static,
{
    // In a box, and without its types: what follows is compiled once and not for each writer.
    let call = Call {
        cache: cache::resolve(given),
        writer,
        key,
        arguments: Box::new(arguments),
    };
    match Box::pin(call.log()).await {
        Ok(()) => shape.value(()),
        Err(Refusal::Cache(error)) => shape.failed(unlogged(error)),
        Err(Refusal::Body(failure)) => match failure.error.downcast::<S::Error>() {
            Ok(error) => shape.failed(*error),
            Err(_) => unreachable!("the body of a writer fails with the writer's own error"),
        },
    }
}

/// Why a write is not acknowledged.
enum Refusal {
    Cache(Error),
    /// The body was run by the call, and failed.
    Body(Failure),
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Cache(error.into())
    }
}

/// A call under way.
struct Call {
    cache: Cache,
    writer: &'static dyn Writer,
    key: Key,
    arguments: Arguments,
}

impl Call {
    async fn log(self) -> Result<(), Refusal> {
        let inner = Arc::clone(&self.cache.inner);
        let writes = &inner.writes;
        if let Some(error) = writes.unusable(self.writer, &inner.guarded) {
            return Err(error.into());
        }
        writes.warn_of_memory(&inner.guarded);
        let queueing = self.writer.spec().write_queueing();
        let append = self.append(queueing.pending_bound())?;
        let mut pause = FIRST_LOOK;
        let mut room: Option<Arc<Notify>> = None;
        loop {
            let room_is_made = room.clone().map(Notify::notified_owned);
            let mut room_is_made = pin!(room_is_made);
            // In line before the question: room that is made after its answer is not missed.
            if let Some(made) = room_is_made.as_mut().as_pin_mut() {
                made.enable();
            }
            let Some(appending) = writes.begin_append() else {
                return Err(Error::ShutDown.into());
            };
            writes.ensure_worker(&inner);
            let appended = writes.log.ask(|log| log.append(append.clone())).await;
            drop(appending);
            if appended.is_err() && mutants::on(Mutant::UnloggedAcknowledged) {
                return Ok(());
            }
            match appended.map_err(Error::NotLogged)? {
                Appended::Logged(_) => {
                    inner.epochs.advance(std::slice::from_ref(&self.key));
                    let partition = partition_of(&self.key);
                    writes.shared.appended(partition, queueing.batch_size());
                    return Ok(());
                }
                Appended::Full {
                    sequence,
                    key_is_pending,
                } => match queueing.full() {
                    // A body that waited for room would wait for itself.
                    WhenFull::Block if is_inside() => {
                        return Err(Error::LogFull(queueing.pending_bound()).into());
                    }
                    WhenFull::Error => {
                        return Err(Error::LogFull(queueing.pending_bound()).into());
                    }
                    WhenFull::Through if !key_is_pending => return self.through(sequence).await,
                    WhenFull::Through | WhenFull::Block => {}
                },
            }
            writes.shared.full();
            match room_is_made.as_pin_mut() {
                Some(made) => race::first(made, pin!(inner.clock.sleep(pause))).await,
                None => room = Some(writes.shared.room(&append.function)),
            }
            pause = (pause * 2).min(RAREST_LOOK);
        }
    }

    fn append(&self, max_pending: u64) -> Result<Append, Error> {
        let spec = self.writer.spec();
        let inner = &self.cache.inner;
        let keeper = Keeper { inner, spec };
        let value = self.writer.kept(&self.arguments, keeper);
        Ok(Append {
            key: self.key.clone(),
            function: path_of(spec),
            payload: self.writer.write(keeper, &self.arguments)?,
            value: value.map(|ToKeep(stored, keep)| (stored, keep)),
            max_pending,
        })
    }

    /// Runs the body here and now, and removes what is cached: the next reader loads what was written.
    async fn through(self, sequence: u64) -> Result<(), Refusal> {
        let contexts = self.cache.inner.writes.shared.contexts.clone();
        if let Some(context) = self.writer.missing(&contexts) {
            return Err(no_context(self.writer, context).into());
        }
        // Owed whatever comes of it, also if the call is dropped: a commit that failed may have committed.
        let owed = Owed::new(self.cache.clone(), Keys::from_iter([self.key]), false);
        let body = self.writer.run_one(contexts, &self.arguments, sequence);
        let ran = self.cache.scope(body).await;
        owed.settle().await;
        ran.map_err(Refusal::Body)
    }
}
