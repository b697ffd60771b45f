//! Those who wait for the answers of one command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use redis::Value;

use super::clock::ServerTime;
use crate::error::BackendError;

/// What the server answered to a command, part by part, and when.
pub(super) type Replies = Result<(Vec<Value>, ServerTime), BackendError>;

/// The seats of a command's callers. One allocation serves them all, where a channel for each would be as many.
#[derive(Debug)]
struct Seats(Mutex<Row>);

#[derive(Debug)]
enum Row {
    /// Who waits, in the order of the command's keys. The second is how many of them are still there.
    Waiting(Vec<Option<Waker>>, usize),
    Answered(Vec<Value>, ServerTime),
    Failed(BackendError),
}

impl Seats {
    fn row(&self) -> MutexGuard<'_, Row> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side of who sends the command. Dropped, as by a runtime that ends, it tells the callers so.
#[derive(Debug)]
pub(super) struct Callers(Arc<Seats>);

impl Callers {
    pub(super) fn expecting(count: usize) -> Self {
        let row = Row::Waiting(Vec::with_capacity(count), 0);
        Self(Arc::new(Seats(Mutex::new(row))))
    }

    /// One more, who waits for the next of the answers.
    pub(super) fn join(&self, waker: &Waker) -> Seat {
        let mut number = 0;
        if let Row::Waiting(wakers, present) = &mut *self.0.row() {
            number = wakers.len();
            wakers.push(Some(waker.clone()));
            *present += 1;
        }
        Seat {
            seats: Arc::clone(&self.0),
            number,
        }
    }

    pub(super) fn are_gone(&self) -> bool {
        matches!(*self.0.row(), Row::Waiting(_, 0))
    }

    pub(super) fn answer(&self, replies: Replies) {
        let row = match replies {
            Ok((values, now)) => Row::Answered(values, now),
            Err(error) => Row::Failed(error),
        };
        let before = std::mem::replace(&mut *self.0.row(), row);
        if let Row::Waiting(wakers, _) = before {
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        if matches!(*self.0.row(), Row::Waiting(..)) {
            self.answer(Err(super::gather::ended()));
        }
    }
}

/// One caller's.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: usize,
}

impl Seat {
    /// The caller's answer. It is there once.
    pub(super) fn poll(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Value, ServerTime), BackendError>> {
        let mut row = self.seats.row();
        match &mut *row {
            Row::Waiting(wakers, _) => {
                let place = wakers.get_mut(self.number);
                let old = place.and_then(|waker| waker.replace(cx.waker().clone()));
                // Outside of the lock, as in `drop`.
                drop(row);
                drop(old);
                Poll::Pending
            }
            Row::Answered(values, now) => {
                let value = values.get_mut(self.number);
                let value = value.map(|value| std::mem::replace(value, Value::Nil));
                Poll::Ready(
                    value
                        .map(|value| (value, *now))
                        .ok_or_else(super::unexpected),
                )
            }
            Row::Failed(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut row = self.seats.row();
        if let Row::Waiting(wakers, present) = &mut *row {
            *present -= 1;
            let waker = wakers.get_mut(self.number).and_then(Option::take);
            // Outside of the lock: the last reference to a task may be its waker, and the task may hold anything.
            drop(row);
            drop(waker);
        }
    }
}
