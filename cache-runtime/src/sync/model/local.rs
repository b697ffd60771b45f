//! What a task carries.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Where the value of the task's innermost scope lies while that is polled: in shuttle's own table of the task, as all tasks are one thread.
pub(crate) type Slot<T> = shuttle::thread::LocalKey<RefCell<Option<T>>>;

/// [`tokio::task::LocalKey`], of which `scope` and `try_with` are modelled.
pub(crate) struct LocalKey<T: 'static>(pub(crate) &'static Slot<T>);

/// [`tokio::task_local!`], of one key.
macro_rules! task_local {
    (static $name:ident: $t:ty;) => {
        static $name: $crate::sync::LocalKey<$t> = {
            shuttle::thread_local! {
                static SLOT: std::cell::RefCell<Option<$t>> = std::cell::RefCell::new(None);
            }
            $crate::sync::LocalKey(&SLOT)
        };
    };
}
pub(crate) use task_local;

/// There is no scope around.
#[derive(Debug)]
pub(crate) struct AccessError;

impl<T: 'static> LocalKey<T> {
    pub(crate) fn scope<F: Future>(&'static self, value: T, work: F) -> Scoped<T, F> {
        Scoped {
            slot: self.0,
            value: Some(value),
            work: Some(Box::pin(work)),
        }
    }

    pub(crate) fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let looked = self.0.try_with(|slot| slot.borrow().as_ref().map(look));
        looked.ok().flatten().ok_or(AccessError)
    }
}

/// Work that has the value around it, whenever it is polled and when it is dropped.
pub(crate) struct Scoped<T: 'static, F> {
    slot: &'static Slot<T>,
    value: Option<T>,
    work: Option<Pin<Box<F>>>,
}

// Nothing in it is pinned but what is behind its own box.
impl<T, F> Unpin for Scoped<T, F> {}

impl<T, F> Scoped<T, F> {
    fn inside<R>(&mut self, act: impl FnOnce(&mut Option<Pin<Box<F>>>) -> R) -> R {
        /// Swaps again, also if the work panics.
        struct Back<'a, T: 'static, F>(&'a mut Scoped<T, F>);
        impl<T, F> Drop for Back<'_, T, F> {
            fn drop(&mut self) {
                self.0.swap();
            }
        }
        self.swap();
        act(&mut Back(self).0.work)
    }

    fn swap(&mut self) {
        // At the end of a task its table may be gone, and with it whoever could look into it.
        let _ = self
            .slot
            .try_with(|slot| std::mem::swap(&mut *slot.borrow_mut(), &mut self.value));
    }
}

impl<T, F: Future> Future for Scoped<T, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.inside(|work| {
            let running = work.as_mut().expect("it is not polled after its end");
            let polled = running.as_mut().poll(cx);
            if polled.is_ready() {
                *work = None;
            }
            polled
        })
    }
}

impl<T, F> Drop for Scoped<T, F> {
    fn drop(&mut self) {
        if self.work.is_some() {
            self.inside(|work| *work = None);
        }
    }
}
