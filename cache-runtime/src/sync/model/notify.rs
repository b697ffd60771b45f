//! Waking those who wait.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::{locked, switch};

/// [`tokio::sync::Notify`], of which `notify_waiters` is modelled: it wakes whoever was made before it, polled or not, and nobody else.
#[derive(Debug, Default)]
pub(crate) struct Notify(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How often those who wait have been woken.
    calls: u64,
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notified(&self) -> Notified<&Self> {
        Notified::new(self)
    }

    pub(crate) fn notified_owned(self: Arc<Self>) -> Notified<Arc<Self>> {
        Notified::new(self)
    }

    pub(crate) fn notify_waiters(&self) {
        switch();
        let woken = {
            let mut state = locked(&self.0);
            state.calls += 1;
            std::mem::take(&mut state.waiting)
        };
        for (_, waker) in woken {
            waker.wake();
        }
    }
}

/// Resolves at the first call of `notify_waiters` after it was made.
pub(crate) struct Notified<N: Deref<Target = Notify>> {
    notify: N,
    seen: u64,
    place: u64,
}

impl<N: Deref<Target = Notify>> Notified<N> {
    fn new(notify: N) -> Self {
        switch();
        let (seen, place) = {
            let mut state = locked(&notify.0);
            state.next += 1;
            (state.calls, state.next)
        };
        Self {
            notify,
            seen,
            place,
        }
    }
}

impl<N: Deref<Target = Notify> + Unpin> Future for Notified<N> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        switch();
        let mut state = locked(&self.notify.0);
        if state.calls != self.seen {
            return Poll::Ready(());
        }
        state.waiting.retain(|(place, _)| *place != self.place);
        state.waiting.push((self.place, cx.waker().clone()));
        Poll::Pending
    }
}

impl<N: Deref<Target = Notify>> Drop for Notified<N> {
    fn drop(&mut self) {
        let mut state = locked(&self.notify.0);
        state.waiting.retain(|(place, _)| *place != self.place);
    }
}
