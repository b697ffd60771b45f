//! What the expansion of a writer asks of the writer's types, each with a message of its own.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use crate::cache::Cache;

use crate::error::Error;
use crate::key::Key;
use crate::pattern::write_behind::write_behind;
use crate::pattern::write_behind::writer::{
    Behind, BodyError, Ran, Running, WriteArgument, Writer, outcome,
};
use crate::shape::{Outcome, ResultOf, Shape, SharedError};

/// Carries an argument into method lookup, to copy it if that can be done.
#[derive(Debug)]
pub struct CopyOf<'a, B: ?Sized>(pub &'a B);

/// Copies a [`CopyOf`].
pub trait ViaCopy<O> {
    /// The copy.
    fn copy(&self) -> O;
}

impl<B: ToOwned + ?Sized> ViaCopy<B::Owned> for &CopyOf<'_, B> {
    fn copy(&self) -> B::Owned {
        self.0.to_owned()
    }
}

/// It cannot be copied. The macros say so, once, of the argument's type.
impl<B: ?Sized, O> ViaCopy<O> for CopyOf<'_, B> {
    fn copy(&self) -> O {
        unreachable!("a program with this copy does not compile")
    }
}

/// Carries the shape of a writer's result into method lookup, to find out whether there is anything in it.
#[derive(Debug)]
pub struct Held<S>(pub S);

/// A result with a value in it.
#[derive(Debug, Clone, Copy)]
pub struct Something;

/// A result with `()` in it.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

/// Finds out what is in a [`Held`] shape, as [`ViaShape`](crate::shape::ViaShape) finds the shape.
pub trait ViaHeld {
    /// What was found.
    type Found;
    /// What is in it.
    fn held(&self) -> Self::Found;
}

impl<S: Shape<Value = ()>> ViaHeld for &Held<S> {
    type Found = Nothing;
    fn held(&self) -> Nothing {
        Nothing
    }
}

impl<S> ViaHeld for Held<S> {
    type Found = Something;
    fn held(&self) -> Something {
        Something
    }
}

/// What a write-through writer can store.
#[diagnostic::on_unimplemented(
    message = "a write-through writer stores what it returns, and this one returns no value",
    label = "there is nothing to store in `()`",
    note = "name the argument that is to be cached, as in `value = user`, or return what was written"
)]
pub trait Storable {}

impl Storable for Something {}

/// Says at a write-through writer's return type whether there is anything to store.
pub fn assert_storable<H: Storable>(_: H) {}

/// Says at an argument's type whether it can be logged. It is the one place that does: whatever else needs it to be so is found by method
/// lookup, and fits all the same where it is not.
pub fn assert_logged<T: WriteArgument>() {}

/// Carries the type of a writer's arguments into method lookup, to find out whether they can be logged.
pub struct LogOf<A: 'static>(pub &'static Behind<A>);

impl<A> fmt::Debug for LogOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogOf")
    }
}

/// Finds the log of a [`LogOf`].
pub trait ViaLog {
    /// What was found: a [`Log`].
    type Found;
    /// The log.
    fn log(&self) -> Self::Found;
}

impl<A: WriteArgument> ViaLog for &LogOf<A> {
    type Found = Writes<A>;
    fn log(&self) -> Writes<A> {
        Writes(self.0)
    }
}

/// The arguments cannot be logged, and [`assert_logged`] says so.
impl<A> ViaLog for LogOf<A> {
    type Found = NoWrites<A>;
    fn log(&self) -> NoWrites<A> {
        NoWrites(PhantomData)
    }
}

/// What a writer does with its log.
pub trait Log<A> {
    /// The writer without its types.
    fn writer(self) -> &'static dyn Writer;

    /// As [`write_behind`].
    fn write<S>(
        self,
        given: Option<Cache>,
        key: Key,
        arguments: A,
        shape: S,
        unlogged: fn(Error) -> S::Error,
    ) -> impl Future<Output = S::Output>
    where
        S: Shape<Value = ()>,
        S::Error: 'static;
}

/// The log of a writer.
#[derive(Debug)]
pub struct Writes<A: 'static>(&'static Behind<A>);

impl<A: WriteArgument> Log<A> for Writes<A> {
    fn writer(self) -> &'static dyn Writer {
        self.0
    }

    fn write<S>(
        self,
        given: Option<Cache>,
        key: Key,
        arguments: A,
        shape: S,
        unlogged: fn(Error) -> S::Error,
    ) -> impl Future<Output = S::Output>
    where
        S: Shape<Value = ()>,
        S::Error: 'static,
    {
        write_behind(self.0, given, key, arguments, shape, unlogged)
    }
}

/// Stands in for the log of arguments that cannot be logged.
#[derive(Debug)]
pub struct NoWrites<A>(PhantomData<fn() -> A>);

impl<A> Log<A> for NoWrites<A> {
    fn writer(self) -> &'static dyn Writer {
        unreachable!("a program with this log does not compile")
    }

    async fn write<S>(
        self,
        _: Option<Cache>,
        _: Key,
        _: A,
        _: S,
        _: fn(Error) -> S::Error,
    ) -> S::Output
    where
        S: Shape<Value = ()>,
        S::Error: 'static,
    {
        unreachable!("a program with this log does not compile")
    }
}

/// Carries the shape of a write-behind writer's result into method lookup, to find out whether it is `Result<(), E>`.
#[derive(Debug)]
pub struct Answered<S>(pub S);

/// Finds the shape of an [`Answered`] result, as [`ViaShape`](crate::shape::ViaShape) finds the shape.
pub trait ViaAnswer {
    /// The shape found.
    type Found;
    /// The shape.
    fn answer(&self) -> Self::Found;
}

impl<E> ViaAnswer for &Answered<ResultOf<(), E>> {
    type Found = ResultOf<(), E>;
    fn answer(&self) -> Self::Found {
        self.0
    }
}

/// The result is another one. The macros say so, once, through [`assert_answer`]; this shape then fits wherever the right one would. A
/// program in which it is found does not compile.
impl<S: Shape> ViaAnswer for Answered<S> {
    type Found = NoAnswer<S>;
    fn answer(&self) -> NoAnswer<S> {
        NoAnswer(self.0)
    }
}

/// Stands in for the shape of a result that a write-behind writer cannot return.
#[derive(Debug, Clone, Copy)]
pub struct NoAnswer<S>(S);

impl<S: Shape> Shape for NoAnswer<S> {
    type Output = S::Output;
    type Value = ();
    type Error = Error;

    fn open(self, _: S::Output) -> Outcome<(), Error> {
        Outcome::Absent
    }
    fn value(self, (): ()) -> S::Output {
        unreachable!("a program with this shape does not compile")
    }
    fn absent(self) -> Option<S::Output> {
        self.0.absent()
    }
    fn failed(self, _: Error) -> S::Output {
        unreachable!("a program with this shape does not compile")
    }
    fn peek(self, _: &S::Output) -> Option<&()> {
        None
    }
    fn succeeded(self, output: &S::Output) -> bool {
        self.0.succeeded(output)
    }
    fn share(self, _: &Error) -> Option<SharedError> {
        None
    }
    fn unshare(self, _: &SharedError) -> Option<Error> {
        None
    }
}

/// What a write-behind writer can return.
#[diagnostic::on_unimplemented(
    message = "a write-behind writer returns before its body has run, so it has no result to return",
    label = "has to be `Result<(), E>`",
    note = "return `Result<(), E>`, and name the argument that is to be cached, as in `value = user`"
)]
pub trait Answer {}

impl<E> Answer for ResultOf<(), E> {}

/// Says at a write-behind writer's return type whether it can be returned before the body has run.
pub fn assert_answer<S: Answer>(_: &S) {}

/// What a body came to, without its types.
///
/// # Errors
///
/// The body's own.
pub fn ran<S>(shape: S, output: S::Output) -> Ran
where
    S: Shape<Value = ()>,
    S::Error: BodyError,
{
    match shape.open(output) {
        Outcome::Failed(error) => outcome(Err(error)),
        Outcome::Value(()) | Outcome::Absent => Ok(()),
    }
}

/// A body as the worker runs it.
pub fn running(body: impl Future<Output = Ran> + Send + 'static) -> Running {
    Box::pin(body)
}
