//! What a warm-up works through: keys, or the arguments of a function.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::by_key::{self, ByKey};
use crate::cache::Cache;
use crate::key::Key;

/// One after another, what is to be warmed.
#[doc(hidden)]
pub trait Items: sealed::Sealed {
    /// The call of one.
    type Work: Future<Output = Result<(), String>>;

    /// The next, if there is one.
    fn next(&mut self, cache: &Cache) -> Option<Item<Self::Work>>;

    /// How many there are yet, as far as that is known, and whether it is.
    fn left(&self) -> (u64, bool);
}

pub(super) mod sealed {
    /// What a warm-up works through is known here.
    pub trait Sealed {}
}

/// One of them.
#[doc(hidden)]
pub struct Item<W> {
    /// Not before so long after the beginning.
    pub(super) due: Duration,
    pub(super) label: Label,
    pub(super) work: W,
}

impl<W> fmt::Debug for Item<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({})", self.label)
    }
}

/// What an item is called in a report.
#[derive(Debug, Clone)]
pub(super) enum Label {
    Key(Key),
    /// Its place in the list, counted from 1.
    Place(u64),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "key `{key}`"),
            Self::Place(place) => write!(f, "item {place}"),
        }
    }
}

/// Nothing yet: say what is to be warmed.
#[derive(Debug)]
pub struct Unchosen(());

impl Unchosen {
    pub(super) fn yet() -> Self {
        Self(())
    }
}

/// Keys, loaded by the read-through loaders whose templates they fit.
#[derive(Debug)]
pub struct Keys(std::vec::IntoIter<Key>);

impl Keys {
    pub(super) fn new(keys: Vec<Key>) -> Self {
        Self(keys.into_iter())
    }

    pub(super) fn and(self, keys: impl IntoIterator<Item = Key>) -> Self {
        Self::new(self.0.chain(keys).collect())
    }

    pub(super) fn into_inner(self) -> std::vec::IntoIter<Key> {
        self.0
    }
}

impl sealed::Sealed for Keys {}

impl Items for Keys {
    type Work = Judged<ByKey>;

    fn next(&mut self, cache: &Cache) -> Option<Item<Judged<ByKey>>> {
        let key = self.0.next()?;
        Some(Item {
            due: Duration::ZERO,
            work: by_key(cache, &key),
            label: Label::Key(key),
        })
    }

    fn left(&self) -> (u64, bool) {
        (self.0.len() as u64, true)
    }
}

/// The call of the loader that the key fits.
pub(super) fn by_key(cache: &Cache, key: &Key) -> Judged<ByKey> {
    Judged::new(by_key::load(cache, key), |loaded| loaded)
}

/// Arguments, each handed to a function.
pub struct Arguments<I, F, W: Future> {
    list: I,
    call: F,
    judge: fn(W::Output) -> Result<(), String>,
    begun: u64,
    work: PhantomData<fn() -> W>,
}

impl<I, F, W: Future> Arguments<I, F, W> {
    pub(super) fn new(list: I, call: F, judge: fn(W::Output) -> Result<(), String>) -> Self {
        Self {
            list,
            call,
            judge,
            begun: 0,
            work: PhantomData,
        }
    }
}

impl<I, F, W: Future> fmt::Debug for Arguments<I, F, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arguments")
    }
}

impl<I, F, W: Future> sealed::Sealed for Arguments<I, F, W> {}

impl<I, F, W> Items for Arguments<I, F, W>
where
    I: Iterator,
    F: FnMut(I::Item) -> W,
    W: Future,
{
    type Work = Judged<W>;

    fn next(&mut self, _: &Cache) -> Option<Item<Judged<W>>> {
        let argument = self.list.next()?;
        self.begun += 1;
        Some(Item {
            due: Duration::ZERO,
            label: Label::Place(self.begun),
            work: Judged::call(|| (self.call)(argument), self.judge),
        })
    }

    fn left(&self) -> (u64, bool) {
        let (least, most) = self.list.size_hint();
        (least as u64, most == Some(least))
    }
}

/// The call of one argument, with what its output says. A panic in it is an error of this item, and of no other.
#[doc(hidden)]
pub struct Judged<W: Future> {
    /// Or why there is none.
    work: Result<Pin<Box<W>>, String>,
    judge: fn(W::Output) -> Result<(), String>,
}

impl<W: Future> Judged<W> {
    pub(super) fn new(work: W, judge: fn(W::Output) -> Result<(), String>) -> Self {
        let work = Ok(Box::pin(work));
        Self { work, judge }
    }

    /// What `call` makes is polled later, but the call itself may panic too.
    fn call(call: impl FnOnce() -> W, judge: fn(W::Output) -> Result<(), String>) -> Self {
        let work = catch_unwind(AssertUnwindSafe(|| Box::pin(call())));
        let work = work.map_err(|panic| panicked(&*panic));
        Self { work, judge }
    }
}

impl<W: Future> fmt::Debug for Judged<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judged")
    }
}

impl<W: Future> Future for Judged<W> {
    type Output = Result<(), String>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { work, judge } = self.get_mut();
        let work = match work {
            Ok(work) => work,
            Err(problem) => return Poll::Ready(Err(std::mem::take(problem))),
        };
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx).map(judge)));
        polled.unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic))))
    }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a message"))
}
