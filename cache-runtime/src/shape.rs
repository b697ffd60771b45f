//! Recognises `Result` and `Option` in a return type by type rather than by name, so that aliases work.
//!
//! `(&&&&&Probe::<R>::new()).shape()` lets method lookup pick the most specific of the impls below (the
//! "autoref specialization" of David Tolnay): it runs in the type checker, costs nothing at run time, and in a
//! generic function sees as much as the signature says.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::pattern::entries::CacheValue;

use crate::backend::{SharedValue, Tags};
use crate::key::Key;

/// What a loader returned, taken apart.
#[derive(Debug)]
pub enum Outcome<V, E> {
    /// A value, to be stored.
    Value(V),
    /// `None`: there is no such thing.
    Absent,
    /// `Err`: never stored.
    Failed(E),
}

/// An error that every waiter of a flight can have a copy of.
pub(crate) type SharedError = Arc<dyn Any + Send + Sync>;

/// How a return type is taken apart and put together again.
pub trait Shape: Copy {
    /// The function's return type.
    type Output;
    /// What is stored: the type inside `Ok` and `Some`.
    type Value;
    /// The type inside `Err`.
    type Error;

    /// Takes a result apart.
    fn open(self, output: Self::Output) -> Outcome<Self::Value, Self::Error>;
    /// Makes a result of a value.
    fn value(self, value: Self::Value) -> Self::Output;
    /// Makes a result of "there is none", where the type can say so.
    fn absent(self) -> Option<Self::Output>;
    /// Makes a result of an error.
    fn failed(self, error: Self::Error) -> Self::Output;
    /// The value inside a result, by reference.
    fn peek(self, output: &Self::Output) -> Option<&Self::Value>;
    /// Whether the call counts as a success: `Ok`, or any result of a function that returns no `Result`.
    fn succeeded(self, output: &Self::Output) -> bool;
    /// A copy of the error that waiters of other tasks can take, if its type allows one.
    fn share(self, error: &Self::Error) -> Option<SharedError>;
    /// Takes a shared error back, if it is of this function's type.
    fn unshare(self, error: &SharedError) -> Option<Self::Error>;

    /// The TTL that the value itself asks for, where the function has a say in it; `Some(None)`: it is not to be stored.
    fn ttl_of(self, value: &Self::Value) -> Option<Option<Duration>> {
        let _ = value;
        None
    }

    /// Adds the tags that the value tells. `parts` is what the arguments contribute to them, in their order.
    fn tags_of(self, value: &Self::Value, parts: &[Key], tags: &mut Tags) {
        let _ = (value, parts, tags);
    }

    /// Puts a value where it can be shared.
    fn keep(self, value: Self::Value) -> SharedValue
    where
        Self::Value: Send + Sync + 'static,
    {
        Arc::new(value)
    }
    /// Whether what is shared is a value of this type.
    fn fits(self, shared: &SharedValue) -> bool
    where
        Self::Value: 'static,
    {
        shared.is::<Self::Value>()
    }
    /// Takes a value out of what is shared, if it [`fits`](Self::fits).
    #[inline]
    fn hand_out(self, shared: SharedValue) -> Option<Self::Value>
    where
        Self::Value: Clone + 'static,
    {
        shared.downcast_ref::<Self::Value>().cloned()
    }
}

type Share<E> = (fn(&E) -> SharedError, fn(&SharedError) -> Option<E>);

pub(crate) fn share_of<E: Clone + Send + Sync + 'static>() -> Share<E> {
    (
        |error| Arc::new(error.clone()),
        |shared| shared.downcast_ref::<E>().cloned(),
    )
}

macro_rules! zero_size {
    ($(#[$doc:meta])* $name:ident<$($arg:ident),+>, $field:ty) => {
        $(#[$doc])*
        pub struct $name<$($arg),+>($field, PhantomData<fn() -> ($($arg,)+)>);
        impl<$($arg),+> Clone for $name<$($arg),+> {
            fn clone(&self) -> Self { *self }
        }
        impl<$($arg),+> Copy for $name<$($arg),+> {}
        impl<$($arg),+> fmt::Debug for $name<$($arg),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(stringify!($name)) }
        }
    };
}

zero_size!(
    /// `Result<Option<T>, E>`.
    ResultOption<T, E>, Option<Share<E>>
);
zero_size!(
    /// `Result<T, E>`.
    ResultOf<T, E>, Option<Share<E>>
);
zero_size!(
    /// `Option<T>`.
    OptionOf<T>, ()
);
zero_size!(
    /// Any other type.
    Plain<T>, ()
);

impl<T, E> Shape for ResultOption<T, E> {
    type Output = Result<Option<T>, E>;
    type Value = T;
    type Error = E;

    fn open(self, output: Self::Output) -> Outcome<T, E> {
        match output {
            Ok(Some(value)) => Outcome::Value(value),
            Ok(None) => Outcome::Absent,
            Err(error) => Outcome::Failed(error),
        }
    }
    fn value(self, value: T) -> Self::Output {
        Ok(Some(value))
    }
    fn absent(self) -> Option<Self::Output> {
        Some(Ok(None))
    }
    fn failed(self, error: E) -> Self::Output {
        Err(error)
    }
    fn peek(self, output: &Self::Output) -> Option<&T> {
        output.as_ref().ok()?.as_ref()
    }
    fn succeeded(self, output: &Self::Output) -> bool {
        output.is_ok()
    }
    fn share(self, error: &E) -> Option<SharedError> {
        self.0.map(|(share, _)| share(error))
    }
    fn unshare(self, error: &SharedError) -> Option<E> {
        self.0.and_then(|(_, unshare)| unshare(error))
    }
}

impl<T, E> Shape for ResultOf<T, E> {
    type Output = Result<T, E>;
    type Value = T;
    type Error = E;

    fn open(self, output: Self::Output) -> Outcome<T, E> {
        match output {
            Ok(value) => Outcome::Value(value),
            Err(error) => Outcome::Failed(error),
        }
    }
    fn value(self, value: T) -> Self::Output {
        Ok(value)
    }
    fn absent(self) -> Option<Self::Output> {
        None
    }
    fn failed(self, error: E) -> Self::Output {
        Err(error)
    }
    fn peek(self, output: &Self::Output) -> Option<&T> {
        output.as_ref().ok()
    }
    fn succeeded(self, output: &Self::Output) -> bool {
        output.is_ok()
    }
    fn share(self, error: &E) -> Option<SharedError> {
        self.0.map(|(share, _)| share(error))
    }
    fn unshare(self, error: &SharedError) -> Option<E> {
        self.0.and_then(|(_, unshare)| unshare(error))
    }
}

impl<T> OptionOf<T> {
    pub(crate) const fn new() -> Self {
        Self((), PhantomData)
    }
}

impl<T> Shape for OptionOf<T> {
    type Output = Option<T>;
    type Value = T;
    type Error = Infallible;

    fn open(self, output: Option<T>) -> Outcome<T, Infallible> {
        output.map_or(Outcome::Absent, Outcome::Value)
    }
    fn value(self, value: T) -> Option<T> {
        Some(value)
    }
    fn absent(self) -> Option<Option<T>> {
        Some(None)
    }
    fn failed(self, error: Infallible) -> Option<T> {
        match error {}
    }
    fn peek(self, output: &Option<T>) -> Option<&T> {
        output.as_ref()
    }
    fn succeeded(self, _: &Option<T>) -> bool {
        true
    }
    fn share(self, error: &Infallible) -> Option<SharedError> {
        match *error {}
    }
    fn unshare(self, _: &SharedError) -> Option<Infallible> {
        None
    }
}

impl<T> Shape for Plain<T> {
    type Output = T;
    type Value = T;
    type Error = Infallible;

    fn open(self, output: T) -> Outcome<T, Infallible> {
        Outcome::Value(output)
    }
    fn value(self, value: T) -> T {
        value
    }
    fn absent(self) -> Option<T> {
        None
    }
    fn failed(self, error: Infallible) -> T {
        match error {}
    }
    fn peek(self, output: &T) -> Option<&T> {
        Some(output)
    }
    fn succeeded(self, _: &T) -> bool {
        true
    }
    fn share(self, error: &Infallible) -> Option<SharedError> {
        match *error {}
    }
    fn unshare(self, _: &SharedError) -> Option<Infallible> {
        None
    }
}

/// Carries a return type into method lookup.
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Probe<R> {
    /// A probe for the type.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> fmt::Debug for Probe<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// Finds the shape of a [`Probe`]'s type: method lookup takes the impl with the most references before the probe. One trait for
/// all of them, because lookup looks at every trait in scope that has a method of the name.
pub trait ViaShape {
    /// The shape found.
    type Found;
    /// The shape of the probed type.
    fn shape(&self) -> Self::Found;
}

/// With an error that waiters can share.
impl<T, E: Clone + Send + Sync + 'static> ViaShape for &&&&Probe<Result<Option<T>, E>> {
    type Found = ResultOption<T, E>;
    fn shape(&self) -> Self::Found {
        ResultOption(Some(share_of::<E>()), PhantomData)
    }
}

/// With an error that waiters can share.
impl<T, E: Clone + Send + Sync + 'static> ViaShape for &&&Probe<Result<T, E>> {
    type Found = ResultOf<T, E>;
    fn shape(&self) -> Self::Found {
        ResultOf(Some(share_of::<E>()), PhantomData)
    }
}

impl<T, E> ViaShape for &&Probe<Result<Option<T>, E>> {
    type Found = ResultOption<T, E>;
    fn shape(&self) -> Self::Found {
        ResultOption(None, PhantomData)
    }
}

impl<T, E> ViaShape for &Probe<Result<T, E>> {
    type Found = ResultOf<T, E>;
    fn shape(&self) -> Self::Found {
        ResultOf(None, PhantomData)
    }
}

impl<T> ViaShape for &Probe<Option<T>> {
    type Found = OptionOf<T>;
    fn shape(&self) -> Self::Found {
        OptionOf::new()
    }
}

impl<T> ViaShape for Probe<T> {
    type Found = Plain<T>;
    fn shape(&self) -> Self::Found {
        Plain((), PhantomData)
    }
}

/// Carries a shape into method lookup, to find out whether its value is an `Arc`.
#[derive(Debug)]
pub struct Kept<S>(pub S);

/// What a shape around another has in common with it.
macro_rules! forward {
    () => {
        forward!(0);
    };
    ($inner:tt) => {
        type Output = S::Output;
        type Error = S::Error;

        fn absent(self) -> Option<S::Output> {
            self.$inner.absent()
        }
        fn failed(self, error: S::Error) -> S::Output {
            self.$inner.failed(error)
        }
        fn succeeded(self, output: &S::Output) -> bool {
            self.$inner.succeeded(output)
        }
        fn share(self, error: &S::Error) -> Option<SharedError> {
            self.$inner.share(error)
        }
        fn unshare(self, error: &SharedError) -> Option<S::Error> {
            self.$inner.unshare(error)
        }
    };
}

/// A shape whose value is an `Arc<T>`: it is shared as it is, where any other value is put into an `Arc` of its own.
#[derive(Debug, Clone, Copy)]
pub struct InArc<S>(S);

impl<S, T> Shape for InArc<S>
where
    S: Shape<Value = Arc<T>>,
    T: Send + Sync + 'static,
{
    type Value = Arc<T>;
    forward!();

    fn open(self, output: S::Output) -> Outcome<Arc<T>, S::Error> {
        self.0.open(output)
    }
    fn value(self, value: Arc<T>) -> S::Output {
        self.0.value(value)
    }
    fn peek(self, output: &S::Output) -> Option<&Arc<T>> {
        self.0.peek(output)
    }
    fn keep(self, value: Arc<T>) -> SharedValue {
        value
    }
    fn fits(self, shared: &SharedValue) -> bool {
        shared.is::<T>() || shared.is::<Arc<T>>()
    }
    #[inline]
    fn hand_out(self, shared: SharedValue) -> Option<Arc<T>> {
        // A generic function that shares the entry could not know of the `Arc` and put it into another.
        shared
            .downcast::<T>()
            .or_else(|other| other.downcast_ref::<Arc<T>>().cloned().ok_or(other))
            .ok()
    }
}

/// Finds the way the value of a [`Kept`] shape is kept, as [`ViaShape`] finds the shape.
pub trait ViaKept {
    /// The shape found.
    type Found;
    /// The shape, with the way its value is kept.
    fn kept(&self) -> Self::Found;
}

impl<S, T> ViaKept for &&Kept<S>
where
    S: Shape<Value = Arc<T>>,
    T: Send + Sync + 'static,
    Arc<T>: CacheValue,
{
    type Found = InArc<S>;
    fn kept(&self) -> InArc<S> {
        InArc(self.0)
    }
}

impl<S: Shape> ViaKept for &Kept<S>
where
    S::Value: CacheValue,
{
    type Found = S;
    fn kept(&self) -> S {
        self.0
    }
}

/// The value cannot be cached. The macros say so, once, through `assert_value`; this shape then fits wherever the value's own
/// would, so that no further error follows. A program in which it is found does not compile.
impl<S: Shape> ViaKept for Kept<S> {
    type Found = Unusable<S>;
    fn kept(&self) -> Unusable<S> {
        Unusable(self.0)
    }
}

/// Stands in for a shape whose value cannot be cached.
#[derive(Debug, Clone, Copy)]
pub struct Unusable<S>(S);

impl<S: Shape> Shape for Unusable<S> {
    type Value = ();
    forward!();

    fn open(self, _: S::Output) -> Outcome<(), S::Error> {
        Outcome::Absent
    }
    fn value(self, (): ()) -> S::Output {
        unreachable!("a program with this shape does not compile")
    }
    fn peek(self, _: &S::Output) -> Option<&()> {
        None
    }
}

/// A shape with a TTL that is taken from the value.
pub struct TtlWith<S: Shape> {
    shape: S,
    ttl: fn(&S::Value) -> Option<Duration>,
}

impl<S: Shape> Clone for TtlWith<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Shape> Copy for TtlWith<S> {}

impl<S: Shape> fmt::Debug for TtlWith<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TtlWith")
    }
}

/// Has the TTL of each value taken from it: `ttl_with = …`.
pub fn with_ttl<S: Shape>(shape: S, ttl: fn(&S::Value) -> Option<Duration>) -> TtlWith<S> {
    TtlWith { shape, ttl }
}

impl<S: Shape> Shape for TtlWith<S> {
    type Value = S::Value;
    forward!(shape);

    fn open(self, output: S::Output) -> Outcome<S::Value, S::Error> {
        self.shape.open(output)
    }
    fn value(self, value: S::Value) -> S::Output {
        self.shape.value(value)
    }
    fn peek(self, output: &S::Output) -> Option<&S::Value> {
        self.shape.peek(output)
    }
    fn ttl_of(self, value: &S::Value) -> Option<Option<Duration>> {
        Some((self.ttl)(value))
    }
    fn tags_of(self, value: &S::Value, parts: &[Key], tags: &mut Tags) {
        self.shape.tags_of(value, parts, tags);
    }
    fn keep(self, value: S::Value) -> SharedValue
    where
        S::Value: Send + Sync + 'static,
    {
        self.shape.keep(value)
    }
    fn fits(self, shared: &SharedValue) -> bool
    where
        S::Value: 'static,
    {
        self.shape.fits(shared)
    }
    #[inline]
    fn hand_out(self, shared: SharedValue) -> Option<S::Value>
    where
        S::Value: Clone + 'static,
    {
        self.shape.hand_out(shared)
    }
}

/// Adds the tags that a value tells.
type TagsOf<V> = fn(&V, &[Key], &mut Tags);

/// A shape with tags that are taken from the value.
pub struct TagsFrom<S: Shape> {
    shape: S,
    tags: TagsOf<S::Value>,
}

impl<S: Shape> Clone for TagsFrom<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Shape> Copy for TagsFrom<S> {}

impl<S: Shape> fmt::Debug for TagsFrom<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagsFrom")
    }
}

/// Has tags of each value taken from it: `tags = ["org:<return.org>"]`.
pub fn with_tags<S: Shape>(shape: S, tags: TagsOf<S::Value>) -> TagsFrom<S> {
    TagsFrom { shape, tags }
}

impl<S: Shape> Shape for TagsFrom<S> {
    type Value = S::Value;
    forward!(shape);

    fn open(self, output: S::Output) -> Outcome<S::Value, S::Error> {
        self.shape.open(output)
    }
    fn value(self, value: S::Value) -> S::Output {
        self.shape.value(value)
    }
    fn peek(self, output: &S::Output) -> Option<&S::Value> {
        self.shape.peek(output)
    }
    fn ttl_of(self, value: &S::Value) -> Option<Option<Duration>> {
        self.shape.ttl_of(value)
    }
    fn tags_of(self, value: &S::Value, parts: &[Key], tags: &mut Tags) {
        (self.tags)(value, parts, tags);
    }
    fn keep(self, value: S::Value) -> SharedValue
    where
        S::Value: Send + Sync + 'static,
    {
        self.shape.keep(value)
    }
    fn fits(self, shared: &SharedValue) -> bool
    where
        S::Value: 'static,
    {
        self.shape.fits(shared)
    }
    #[inline]
    fn hand_out(self, shared: SharedValue) -> Option<S::Value>
    where
        S::Value: Clone + 'static,
    {
        self.shape.hand_out(shared)
    }
}

/// A shape that can say that there is no value.
#[diagnostic::on_unimplemented(
    message = "`negative_ttl` is for functions that return `Option<T>` or `Result<Option<T>, E>`",
    label = "has no `None` to be cached"
)]
pub trait Optional: Shape {}

impl<T, E> Optional for ResultOption<T, E> {}
impl<T> Optional for OptionOf<T> {}
impl<S: Optional> Optional for InArc<S> where Self: Shape {}
impl<S: Optional> Optional for Unusable<S> {}

/// A value that a function could have returned: the value itself, or the value in the function's own `Option` or `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what the function caches",
    label = "expected the cached value, or all of `{R}`"
)]
pub trait IntoOutput<R> {
    /// The value in the form that the function returns.
    fn into_output(self) -> R;
}

impl<T> IntoOutput<T> for T {
    fn into_output(self) -> T {
        self
    }
}

impl<T> IntoOutput<Option<T>> for T {
    fn into_output(self) -> Option<T> {
        Some(self)
    }
}

impl<T, E> IntoOutput<Result<T, E>> for T {
    fn into_output(self) -> Result<T, E> {
        Ok(self)
    }
}

impl<T, E> IntoOutput<Result<Option<T>, E>> for T {
    fn into_output(self) -> Result<Option<T>, E> {
        Ok(Some(self))
    }
}
