//! Polls one future beside another, without the machinery of a macro.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Returns when either is done.
pub(crate) async fn first<A: Future, B: Future>(mut a: Pin<&mut A>, mut b: Pin<&mut B>) {
    poll_fn(|cx| {
        if a.as_mut().poll(cx).is_ready() || b.as_mut().poll(cx).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Runs `side` beside `main` for as long as `main` takes. `side` is not polled before `main` has to wait.
pub(crate) async fn beside<M: Future>(main: M, side: impl Future<Output = ()>) -> M::Output {
    let mut main = pin!(main);
    let mut side = pin!(side);
    let mut side_done = false;
    poll_fn(|cx| {
        let output = main.as_mut().poll(cx);
        if output.is_pending() && !side_done {
            side_done = side.as_mut().poll(cx).is_ready();
        }
        output
    })
    .await
}

/// What `main` returns, unless `end` comes first.
pub(crate) async fn within<M: Future + Unpin>(
    mut main: M,
    end: impl Future<Output = ()>,
) -> Option<M::Output> {
    let mut end = pin!(end);
    poll_fn(|cx| {
        if let Poll::Ready(output) = Pin::new(&mut main).poll(cx) {
            return Poll::Ready(Some(output));
        }
        end.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// What `work` returns, or what it panicked with.
pub(crate) async fn caught<W: Future>(work: W) -> Result<W::Output, Box<dyn Any + Send>> {
    let mut work = pin!(work);
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            // It is not polled again.
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}

/// Both outputs, of two futures that run side by side.
pub(crate) async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    poll_fn(|cx| {
        if of_a.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            of_a = Some(output);
        }
        if of_b.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            of_b = Some(output);
        }
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// All outputs, in order, of futures that run side by side. For some hundreds at most: each is polled whenever one is woken.
pub(crate) async fn all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match Pin::new(future).poll(cx) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
