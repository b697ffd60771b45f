//! Some futures at a time, all driven by one task: dropped together, and each polled only when it was woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A bounded set of futures.
pub(super) struct Crew<F> {
    places: Vec<Place<F>>,
    /// Where the next look begins: after the last that was done, so that one place cannot take every turn.
    from: usize,
    busy: usize,
    most: usize,
    driver: Arc<Driver>,
}

struct Place<F> {
    work: Option<Pin<Box<F>>>,
    bell: Arc<Bell>,
}

/// Woken by one of the futures.
struct Bell {
    rung: AtomicBool,
    driver: Arc<Driver>,
}

/// The task that drives them all.
#[derive(Default)]
struct Driver(Mutex<Option<Waker>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let known = self.driver.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = known.clone();
        // Not under the lock: a waker is the runtime's code.
        drop(known);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<F: Future> Crew<F> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            places: Vec::new(),
            from: 0,
            busy: 0,
            most,
            driver: Arc::default(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.busy >= self.most
    }

    pub(super) fn busy(&self) -> usize {
        self.busy
    }

    pub(super) fn begin(&mut self, work: F) {
        self.busy += 1;
        let work = Some(Box::pin(work));
        match self.places.iter_mut().find(|place| place.work.is_none()) {
            Some(free) => {
                free.work = work;
                free.bell.rung.store(true, Ordering::Release);
            }
            None => self.places.push(Place {
                work,
                bell: Arc::new(Bell {
                    rung: AtomicBool::new(true),
                    driver: self.driver.clone(),
                }),
            }),
        }
    }

    /// The output of one that is done; pending while there is none, also where none is under way.
    pub(super) fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Set before they are polled: who rings from now on finds it.
        self.driver.follow(cx.waker());
        let count = self.places.len();
        let from = self.from.min(count);
        for at in (from..count).chain(0..from) {
            let place = &mut self.places[at];
            let Some(work) = &mut place.work else {
                continue;
            };
            if !place.bell.rung.swap(false, Ordering::AcqRel) {
                continue;
            }
            let waker = Waker::from(place.bell.clone());
            if let Poll::Ready(output) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
                place.work = None;
                self.busy -= 1;
                self.from = at + 1;
                // Others may have been woken too, and are polled when the driver comes back for them.
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    }
}

impl Driver {
    fn follow(&self, waker: &Waker) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = known.as_ref().is_some_and(|known| known.will_wake(waker));
        let before = if same {
            None
        } else {
            known.replace(waker.clone())
        };
        drop(known);
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn each_is_driven_to_its_end_in_whatever_order_they_are_woken() {
        let mut crew = Crew::new(3);
        let mut senders = Vec::new();
        for n in 0..3 {
            let (sender, receiver) = oneshot::channel::<()>();
            senders.push(sender);
            crew.begin(async move {
                receiver.await.expect("the test to send");
                n
            });
        }
        assert!(crew.is_full());
        for (n, sender) in senders.into_iter().enumerate().rev() {
            let task = tokio::spawn(async move { sender.send(()) });
            assert_eq!(poll_fn(|cx| crew.poll_done(cx)).await, n);
            task.await.expect("no panic").expect("somebody to receive");
        }
        assert_eq!(crew.busy(), 0);
    }

    #[tokio::test]
    async fn two_that_are_done_at_once_are_both_told_of() {
        let mut crew = Crew::new(2);
        crew.begin(std::future::ready(1));
        crew.begin(std::future::ready(2));
        assert_eq!(poll_fn(|cx| crew.poll_done(cx)).await, 1);
        assert_eq!(poll_fn(|cx| crew.poll_done(cx)).await, 2);
    }

    /// Its place is taken anew at once, by another that is done as soon.
    #[tokio::test]
    async fn one_that_is_done_at_once_keeps_no_other_from_its_turn() {
        let mut crew = Crew::new(2);
        crew.begin(std::future::ready(1));
        crew.begin(std::future::ready(2));
        assert_eq!(poll_fn(|cx| crew.poll_done(cx)).await, 1);
        crew.begin(std::future::ready(3));
        assert_eq!(poll_fn(|cx| crew.poll_done(cx)).await, 2);
        assert_eq!(poll_fn(|cx| crew.poll_done(cx)).await, 3);
    }

    #[tokio::test]
    async fn who_was_not_woken_is_not_polled() {
        let mut crew = Crew::new(2);
        let polls = Arc::new(AtomicUsize::new(0));
        let counter = polls.clone();
        let (sender, receiver) = oneshot::channel::<()>();
        let mut receiver = Box::pin(receiver);
        let counted: Pin<Box<dyn Future<Output = ()>>> = Box::pin(poll_fn(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        }));
        crew.begin(counted);
        crew.begin(Box::pin(poll_fn(move |cx| {
            receiver.as_mut().poll(cx).map(|_| ())
        })));
        let send = async {
            tokio::task::yield_now().await;
            drop(sender);
        };
        tokio::join!(poll_fn(|cx| crew.poll_done(cx)), send);
        assert_eq!(polls.load(Ordering::Relaxed), 1);
    }
}
