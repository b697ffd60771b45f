//! Those who wait for the answers of one command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use redis::Value;
use smallvec::SmallVec;

use super::clock::ServerTime;
use super::judged::Read;
use super::latest::Known;
use super::tags::Floor;
use crate::error::BackendError;
use crate::mutants::{self, Mutant};

/// What the server answered to a command, part by part, and when.
pub(super) type Replies = Result<(Vec<Value>, ServerTime), BackendError>;

/// What was read for all callers of a command.
#[derive(Debug)]
pub(super) struct Answers {
    /// In the order of the command's keys.
    pub(super) values: Vec<Value>,
    /// Of all tags that any of them has asked for, each once; and the version of the namespace.
    pub(super) tags: Vec<Option<u64>>,
    pub(super) floor: Option<Floor>,
    pub(super) now: ServerTime,
}

/// One caller's part of it.
pub(super) struct Part {
    pub(super) value: Value,
    pub(super) versions: Read,
    pub(super) now: ServerTime,
}

/// Where the versions of one caller's tags are, in the order of its tags.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// At which time of the clock those were true that were not asked for.
    pub(super) clock: u64,
    pub(super) of: SmallVec<[Place; 2]>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Among those that were asked for.
    Asked(u32),
    /// Not asked for: this is it, unless the clock has moved.
    Known(u64),
}

impl Places {
    /// For so many tags, of which nothing is relied on.
    pub(super) fn to_be_asked(count: usize) -> Self {
        Self {
            clock: 0,
            of: SmallVec::from_elem(Place::Asked(0), count),
        }
    }

    fn version(&self, place: Place, answers: &Answers) -> Known {
        match place {
            Place::Asked(at) => Some(answers.tags.get(at as usize).copied().flatten()),
            Place::Known(version) => {
                let is_true = answers.floor.is_some_and(|it| it.clock == self.clock)
                    || mutants::on(Mutant::RedisReadTagsOutliveTheClock);
                is_true.then_some(Some(version))
            }
        }
    }
}

/// The seats of a command's callers. One allocation serves them all, where a channel for each would be as many.
#[derive(Debug)]
struct Seats(Mutex<Row>);

#[derive(Debug)]
enum Row {
    Waiting {
        /// In the order in which they came.
        wakers: Vec<Option<Waker>>,
        /// How many of them are still there.
        present: usize,
    },
    Answered(Answers),
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
        };
        Self(Arc::new(Seats(Mutex::new(row))))
    }

    /// One more, who waits for a value, unless it has that already, and for the versions at these places.
    pub(super) fn join(&self, waker: &Waker, value: Option<usize>, tags: Places) -> Seat {
        let mut number = 0;
        if let Row::Waiting { wakers, present } = &mut *self.0.row() {
            number = wakers.len();
            wakers.push(Some(waker.clone()));
            *present += 1;
        }
        Seat {
            seats: Arc::clone(&self.0),
            number,
            value,
            tags,
        }
    }

    pub(super) fn are_gone(&self) -> bool {
        matches!(*self.0.row(), Row::Waiting { present: 0, .. })
    }

    pub(super) fn answer(&self, answers: Result<Answers, BackendError>) {
        let row = match answers {
            Ok(answers) => Row::Answered(answers),
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
    /// Which of the values is its own.
    value: Option<usize>,
    tags: Places,
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
            Row::Answered(answers) => {
                let mut value = Value::Nil;
                if let Some(at) = self.value {
                    let Some(own) = answers.values.get_mut(at) else {
                        return Poll::Ready(Err(super::unexpected()));
                    };
                    std::mem::swap(&mut value, own);
                }
                let places = self.tags.of.iter();
                Poll::Ready(Ok(Part {
                    value,
                    versions: Read {
                        tags: places.map(|&at| self.tags.version(at, answers)).collect(),
                        floor: answers.floor,
                    },
                    now: answers.now,
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
