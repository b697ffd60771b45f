//! A read-through loader as the macros describe it.

use std::fmt;
use std::future::{Future, ready};
use std::marker::PhantomData;
use std::pin::Pin;

use crate::cache::Cache;
use crate::error::Error;
use crate::key::{FromKeyPart, KeyPart, KeyText};
use crate::pattern::contexts::Contexts;
use crate::pattern::known::Known;
use crate::shape::Shape;
use crate::spec::Spec;

/// A body that runs.
pub(super) type Body<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// Tells the type of a context that is not there.
type Needs = fn(&Contexts) -> Option<&'static str>;

/// A loader: its description and its body, by the types of its arguments and its result.
pub struct ReadThrough<A: 'static, R: 'static> {
    spec: &'static Spec,
    arguments: fn(&Values<'_>) -> Option<A>,
    body: fn(Contexts, A) -> Body<R>,
    /// Of a loader with contexts.
    contexts: Option<HandedIn<R>>,
    /// Of a loader with tags: those that its arguments tell.
    tags: Option<fn(&A) -> Known>,
}

/// What a body is handed in.
struct HandedIn<R> {
    needs: Needs,
    /// What a call returns where something of it is not there.
    lacking: fn(Error) -> R,
}

// No bounds: what is asked of the types is asked once, where they stand.
impl<A, R> ReadThrough<A, R> {
    /// `arguments` tells them from the texts in a key; `body` runs the body.
    #[must_use]
    pub const fn new(
        spec: &'static Spec,
        arguments: fn(&Values<'_>) -> Option<A>,
        body: fn(Contexts, A) -> Body<R>,
    ) -> Self {
        Self {
            spec,
            arguments,
            body,
            contexts: None,
            tags: None,
        }
    }

    /// Sets what the body is handed in: `needs` tells the type of a context that is missing, `lacking` what a call returns then.
    #[must_use]
    pub const fn contexts(mut self, needs: Needs, lacking: fn(Error) -> R) -> Self {
        self.contexts = Some(HandedIn { needs, lacking });
        self
    }

    /// Sets how the tags are told from the arguments.
    #[must_use]
    pub const fn tags(mut self, known: fn(&A) -> Known) -> Self {
        self.tags = Some(known);
        self
    }

    /// What the annotation says.
    #[must_use]
    pub const fn spec(&self) -> &'static Spec {
        self.spec
    }

    pub(super) fn missing(&self, contexts: &Contexts) -> Option<&'static str> {
        let handed_in = self.contexts.as_ref()?;
        (handed_in.needs)(contexts)
    }

    pub(super) fn known(&self, arguments: &A) -> Known {
        self.tags.map_or_else(Known::new, |known| known(arguments))
    }

    pub(super) fn parse(&self, values: &[KeyText<'_>]) -> Option<A> {
        (self.arguments)(&Values(values))
    }

    /// The body, or the error that a context is missing.
    pub(super) fn start(&self, cache: &Cache, arguments: A) -> Body<R>
    where
        R: Send,
    {
        let contexts = &cache.inner.contexts;
        if let Some(HandedIn { needs, lacking }) = &self.contexts
            && let Some(context) = needs(contexts)
        {
            let function = self.spec.name();
            return Box::pin(ready(lacking(Error::MissingContext { function, context })));
        }
        (self.body)(contexts.clone(), arguments)
    }
}

impl<A, R> fmt::Debug for ReadThrough<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadThrough")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

/// A body as the cache runs it.
pub fn loading<R>(body: impl Future<Output = R> + Send + 'static) -> Body<R> {
    Box::pin(body)
}

/// An error type that can say that a context is missing.
#[diagnostic::on_unimplemented(
    message = "a read-through loader with a `#[context]` returns a `Result` whose error can hold the cache's: `{Self}` cannot be made from `cache_runtime::Error`",
    label = "needs `From<cache_runtime::Error>`; `Infallible` is said of a function that returns no `Result`",
    note = "on a cache that was not given the context a load fails with `Error::MissingContext`; return `Result<_, E>` with `impl From<cache_runtime::Error> for E`"
)]
pub trait ContextError: From<Error> {}

impl<E: From<Error>> ContextError for E {}

/// What a loader returns where a context is missing.
pub fn lacking<S>(shape: S, error: Error) -> S::Output
where
    S: Shape,
    S::Error: ContextError,
{
    shape.failed(error.into())
}

/// The texts of the values in a key.
pub struct Values<'k>(&'k [KeyText<'k>]);

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Values<'_> {
    /// Whether two placeholders of one argument hold the same.
    #[must_use]
    pub fn same(&self, one: usize, other: usize) -> Option<()> {
        (self.0.get(one)? == self.0.get(other)?).then_some(())
    }
}

/// Carries the type of an argument into method lookup, to find out whether it can be told from a key.
pub struct ParsedOf<T>(PhantomData<fn() -> T>);

impl<T> ParsedOf<T> {
    /// A probe for the type.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> fmt::Debug for ParsedOf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParsedOf")
    }
}

macro_rules! found {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T>(PhantomData<fn() -> T>);
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(stringify!($name)) }
        }
    };
}
found!(
    /// Its values are told from keys.
    Readable
);
found!(
    /// Its values are written to keys, and that is all.
    WriteOnly
);
found!(
    /// It is no part of a key, which is said where the key is written.
    NoPart
);

/// Finds out what a [`ParsedOf`] type can do, as [`ViaShape`](crate::shape::ViaShape) finds the shape.
pub trait ViaParsed {
    /// What was found.
    type Found;
    /// What it can do.
    fn parsed(&self) -> Self::Found;
}

impl<T: FromKeyPart> ViaParsed for &&ParsedOf<T> {
    type Found = Readable<T>;
    fn parsed(&self) -> Readable<T> {
        Readable(PhantomData)
    }
}

impl<T: KeyPart> ViaParsed for &ParsedOf<T> {
    type Found = WriteOnly<T>;
    fn parsed(&self) -> WriteOnly<T> {
        WriteOnly(PhantomData)
    }
}

impl<T> ViaParsed for ParsedOf<T> {
    type Found = NoPart<T>;
    fn parsed(&self) -> NoPart<T> {
        NoPart(PhantomData)
    }
}

/// What can be an argument of a read-through loader.
#[diagnostic::on_unimplemented(
    message = "`{T}` can be written into a key, but not told from one",
    label = "has no `cache_runtime::FromKeyPart`",
    note = "the cache runs a read-through loader from its key alone: implement `FromKeyPart` for the type, or take an integer or a string"
)]
pub trait ToldFromKey<T> {}

impl<T> ToldFromKey<T> for Readable<T> {}
impl<T> ToldFromKey<T> for NoPart<T> {}

/// Says at an argument's type whether it can be told from a key.
pub fn assert_parsed<T, P: Parse<T> + ToldFromKey<T>>(_: &P) {}

/// Tells an argument from the key.
pub trait Parse<T> {
    /// The value that stands at this placeholder.
    fn value(&self, values: &Values<'_>, at: usize) -> Option<T>;
}

impl<T: FromKeyPart> Parse<T> for Readable<T> {
    fn value(&self, values: &Values<'_>, at: usize) -> Option<T> {
        values.0.get(at)?.parse()
    }
}

macro_rules! not_compiled {
    ($($found:ident)*) => {$(
        impl<T> Parse<T> for $found<T> {
            fn value(&self, _: &Values<'_>, _: usize) -> Option<T> {
                unreachable!("a program with this argument does not compile")
            }
        }
    )*};
}
not_compiled!(WriteOnly NoPart);
