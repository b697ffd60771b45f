//! Those who wait for the answers of one command.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use redis::Value;
use smallvec::SmallVec;

use super::clock::ServerTime;
use crate::error::BackendError;

/// What the server answered to a command, part by part, and when.
pub(super) type Replies = Result<(Vec<Value>, ServerTime), BackendError>;

/// One caller's part of it.
pub(super) struct Part {
    /// The answers to what the caller asked.
    pub(super) own: SmallVec<[Value; 3]>,
    /// The version of the namespace, which is asked for once for all callers.
    pub(super) floor: Value,
    pub(super) now: ServerTime,
}

/// The seats of a command's callers. One allocation serves them all, where a channel for each would be as many.
#[derive(Debug)]
struct Seats(Mutex<Row>);

#[derive(Debug)]
enum Row {
    Waiting {
        /// In the order of the command's keys.
        wakers: Vec<Option<Waker>>,
        /// How many of them are still there.
        present: usize,
        /// How many answers they wait for.
        asked: usize,
    },
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
        let row = Row::Waiting {
            wakers: Vec::with_capacity(count),
            present: 0,
            asked: 0,
        };
        Self(Arc::new(Seats(Mutex::new(row))))
    }

    /// One more, who waits for so many of the answers.
    pub(super) fn join(&self, waker: &Waker, answers: usize) -> Seat {
        let (mut number, mut first) = (0, 0);
        if let Row::Waiting {
            wakers,
            present,
            asked,
        } = &mut *self.0.row()
        {
            (number, first) = (wakers.len(), *asked);
            wakers.push(Some(waker.clone()));
            *present += 1;
            *asked += answers;
        }
        Seat {
            seats: Arc::clone(&self.0),
            number,
            answers: first..first + answers,
        }
    }

    pub(super) fn are_gone(&self) -> bool {
        matches!(*self.0.row(), Row::Waiting { present: 0, .. })
    }

    pub(super) fn answer(&self, replies: Replies) {
        let row = match replies {
            Ok((values, now)) => Row::Answered(values, now),
            Err(error) => Row::Failed(error),
        };
        let before = std::mem::replace(&mut *self.0.row(), row);
        if let Row::Waiting { wakers, .. } = before {
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        if matches!(*self.0.row(), Row::Waiting { .. }) {
            self.answer(Err(super::gather::ended()));
        }
    }
}

/// One caller's.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: usize,
    answers: Range<usize>,
}

impl Seat {
    /// The caller's answers. They are there once.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Part, BackendError>> {
        let mut row = self.seats.row();
        match &mut *row {
            Row::Waiting { wakers, .. } => {
                let place = wakers.get_mut(self.number);
                let old = place.and_then(|waker| waker.replace(cx.waker().clone()));
                // Outside of the lock, as in `drop`.
                drop(row);
                drop(old);
                Poll::Pending
            }
            Row::Answered(values, now) => {
                let floor = values.last().cloned().unwrap_or(Value::Nil);
                let Some(own) = values.get_mut(self.answers.clone()) else {
                    return Poll::Ready(Err(super::unexpected()));
                };
                let own = own
                    .iter_mut()
                    .map(|value| std::mem::replace(value, Value::Nil));
                Poll::Ready(Ok(Part {
                    own: own.collect(),
                    floor,
                    now: *now,
                }))
            }
            Row::Failed(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut row = self.seats.row();
        if let Row::Waiting {
            wakers, present, ..
        } = &mut *row
        {
            *present -= 1;
            let waker = wakers.get_mut(self.number).and_then(Option::take);
            // Outside of the lock: the last reference to a task may be its waker, and the task may hold anything.
            drop(row);
            drop(waker);
        }
    }
}
