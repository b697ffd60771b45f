//! Spawned tasks.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::race;

/// [`tokio::runtime::Handle`]: the execution is the runtime.
pub(crate) struct Handle;

/// [`tokio::runtime::TryCurrentError`]: there is no execution.
#[derive(Debug)]
pub(crate) struct TryCurrentError;

impl Handle {
    pub(crate) fn try_current() -> Result<Self, TryCurrentError> {
        let task = shuttle::current::try_get_current_task();
        task.map(|_| Self).ok_or(TryCurrentError)
    }

    // As the original is: a method.
    #[allow(clippy::unused_self)]
    pub(crate) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        spawn(work)
    }
}

/// [`tokio::spawn`]: a task that panics ends, and nothing but its handle hears of it. One whose handle is dropped goes on, and an execution that
/// ends does not wait for it.
pub(crate) fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    JoinHandle(shuttle::future::spawn(race::caught(work)))
}

type Ended<T> = Result<T, Box<dyn Any + Send>>;

/// [`tokio::task::JoinHandle`].
pub(crate) struct JoinHandle<T>(shuttle::future::JoinHandle<Ended<T>>);

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|ended| match ended {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(panic)) => Err(JoinError(Some(panic))),
            Err(_) => Err(JoinError(None)),
        })
    }
}

/// [`tokio::task::JoinError`]: the panic, or none if the task ended with the execution.
pub(crate) struct JoinError(Option<Box<dyn Any + Send>>);

impl JoinError {
    pub(crate) fn is_panic(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn into_panic(self) -> Box<dyn Any + Send> {
        self.0.expect("asked for only if `is_panic`")
    }
}
