//! What a batch loader returns: a map or a list, by itself or in a `Result`, recognised by type.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use super::BatchKeys;
use crate::shape::{SharedError, share_of};

/// A collection that holds a value, or none, for each of the items that a batch loader was asked for.
#[diagnostic::on_unimplemented(
    message = "a batch loader of `{K}` cannot return `{Self}`",
    label = "no value for each `{K}` can be found in it",
    note = "return a `HashMap<{K}, V>`, a `BTreeMap<{K}, V>`, or a `Vec<Option<V>>` in the order of the items; in a `Result` if it can fail"
)]
pub trait Collection<K>: Sized {
    /// What it holds.
    type Value;

    /// The value of each item, in the order in which they were asked for; the collection itself if that cannot be told.
    fn open(self, asked: &[K]) -> Result<Vec<Option<Self::Value>>, Self>;
    /// Makes one of the items and what was found for them.
    fn close(found: impl Iterator<Item = (K, Option<Self::Value>)>) -> Self;
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> Collection<K> for HashMap<K, V, S> {
    type Value = V;
    fn open(mut self, asked: &[K]) -> Result<Vec<Option<V>>, Self> {
        Ok(asked.iter().map(|item| self.remove(item)).collect())
    }
    fn close(found: impl Iterator<Item = (K, Option<V>)>) -> Self {
        found
            .filter_map(|(item, value)| Some((item, value?)))
            .collect()
    }
}

impl<'a, V, S: BuildHasher + Default> Collection<&'a str> for HashMap<String, V, S> {
    type Value = V;
    fn open(mut self, asked: &[&'a str]) -> Result<Vec<Option<V>>, Self> {
        Ok(asked.iter().map(|item| self.remove(*item)).collect())
    }
    fn close(found: impl Iterator<Item = (&'a str, Option<V>)>) -> Self {
        found
            .filter_map(|(item, value)| Some((item.to_owned(), value?)))
            .collect()
    }
}

impl<K: Ord, V> Collection<K> for BTreeMap<K, V> {
    type Value = V;
    fn open(mut self, asked: &[K]) -> Result<Vec<Option<V>>, Self> {
        Ok(asked.iter().map(|item| self.remove(item)).collect())
    }
    fn close(found: impl Iterator<Item = (K, Option<V>)>) -> Self {
        found
            .filter_map(|(item, value)| Some((item, value?)))
            .collect()
    }
}

impl<'a, V> Collection<&'a str> for BTreeMap<String, V> {
    type Value = V;
    fn open(mut self, asked: &[&'a str]) -> Result<Vec<Option<V>>, Self> {
        Ok(asked.iter().map(|item| self.remove(*item)).collect())
    }
    fn close(found: impl Iterator<Item = (&'a str, Option<V>)>) -> Self {
        found
            .filter_map(|(item, value)| Some((item.to_owned(), value?)))
            .collect()
    }
}

impl<K, V> Collection<K> for Vec<Option<V>> {
    type Value = V;
    fn open(self, asked: &[K]) -> Result<Self, Self> {
        if self.len() == asked.len() {
            Ok(self)
        } else {
            Err(self)
        }
    }
    fn close(found: impl Iterator<Item = (K, Option<V>)>) -> Self {
        found.map(|(_, value)| value).collect()
    }
}

/// A collection that says by itself whose each of its values is.
#[diagnostic::on_unimplemented(
    message = "a batch over a list that has no order of its own cannot return `{Self}`",
    label = "whose value is which cannot be told",
    note = "return a `HashMap` or a `BTreeMap`; or take the elements as a slice, a `Vec` or a `VecDeque`, whose order the values are in"
)]
pub trait Keyed {}

impl<K, V, S> Keyed for HashMap<K, V, S> {}
impl<K, V> Keyed for BTreeMap<K, V> {}
impl Keyed for Nothing {}

/// How the return type of a batch loader is taken apart and put together again.
pub trait Form: Copy {
    /// The function's return type.
    type Output;
    /// The map or list in it.
    type Collection;
    /// The type inside `Err`.
    type Error;

    /// Takes a result apart.
    fn open(self, output: Self::Output) -> Result<Self::Collection, Self::Error>;
    /// Makes a result of a collection.
    fn found(self, collection: Self::Collection) -> Self::Output;
    /// Makes a result of an error.
    fn failed(self, error: Self::Error) -> Self::Output;
    /// A copy of the error that waiters of other tasks can take, if its type allows one.
    fn share(self, error: &Self::Error) -> Option<SharedError>;
    /// Takes a shared error back, if it is of this function's type.
    fn unshare(self, error: &SharedError) -> Option<Self::Error>;
}

type Share<E> = (fn(&E) -> SharedError, fn(&SharedError) -> Option<E>);

/// `Result<C, E>`.
pub struct ResultForm<C, E>(Option<Share<E>>, PhantomData<fn() -> (C, E)>);

/// A collection by itself.
pub struct PlainForm<C>(PhantomData<fn() -> C>);

impl<C, E> Clone for ResultForm<C, E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C, E> Copy for ResultForm<C, E> {}
impl<C, E> fmt::Debug for ResultForm<C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResultForm")
    }
}

impl<C> Clone for PlainForm<C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for PlainForm<C> {}
impl<C> fmt::Debug for PlainForm<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainForm")
    }
}

impl<C, E> Form for ResultForm<C, E> {
    type Output = Result<C, E>;
    type Collection = C;
    type Error = E;

    fn open(self, output: Result<C, E>) -> Result<C, E> {
        output
    }
    fn found(self, collection: C) -> Result<C, E> {
        Ok(collection)
    }
    fn failed(self, error: E) -> Result<C, E> {
        Err(error)
    }
    fn share(self, error: &E) -> Option<SharedError> {
        self.0.map(|(share, _)| share(error))
    }
    fn unshare(self, error: &SharedError) -> Option<E> {
        self.0.and_then(|(_, unshare)| unshare(error))
    }
}

impl<C> Form for PlainForm<C> {
    type Output = C;
    type Collection = C;
    type Error = Infallible;

    fn open(self, output: C) -> Result<C, Infallible> {
        Ok(output)
    }
    fn found(self, collection: C) -> C {
        collection
    }
    fn failed(self, error: Infallible) -> C {
        match error {}
    }
    fn share(self, error: &Infallible) -> Option<SharedError> {
        match *error {}
    }
    fn unshare(self, _: &SharedError) -> Option<Infallible> {
        None
    }
}

/// Carries a batch loader's return type into method lookup.
pub struct BatchProbe<R>(PhantomData<fn() -> R>);

impl<R> BatchProbe<R> {
    /// A probe for the type.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> fmt::Debug for BatchProbe<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchProbe")
    }
}

/// Finds the form of a [`BatchProbe`]'s type, as `ViaShape` finds a shape.
pub trait ViaForm {
    /// The form found.
    type Found;
    /// The form of the probed type.
    fn form(&self) -> Self::Found;
}

impl<C, E: Clone + Send + Sync + 'static> ViaForm for &&BatchProbe<Result<C, E>> {
    type Found = ResultForm<C, E>;
    fn form(&self) -> Self::Found {
        ResultForm(Some(share_of::<E>()), PhantomData)
    }
}

impl<C, E> ViaForm for &BatchProbe<Result<C, E>> {
    type Found = ResultForm<C, E>;
    fn form(&self) -> Self::Found {
        ResultForm(None, PhantomData)
    }
}

impl<C> ViaForm for BatchProbe<C> {
    type Found = PlainForm<C>;
    fn form(&self) -> Self::Found {
        PlainForm(PhantomData)
    }
}

/// Carries a form into method lookup, to find out whether its collection is one for these elements.
#[derive(Debug)]
pub struct Fit<'k, F, K>(pub F, pub &'k BatchKeys<K>);

/// Finds the form of a [`Fit`], as [`ViaForm`] finds that of a type.
pub trait ViaFit {
    /// The form found.
    type Found;
    /// The form that holds a value for each of the elements.
    fn fit(&self) -> Self::Found;
}

impl<F: Form, K> ViaFit for &Fit<'_, F, K>
where
    F::Collection: Collection<K>,
{
    type Found = F;
    fn fit(&self) -> F {
        self.0
    }
}

/// The collection is none. The macros say so, once, through `assert_collection`; this form then fits wherever the type's own
/// would, so that no further error follows. A program in which it is found does not compile.
impl<F: Form, K> ViaFit for Fit<'_, F, K> {
    type Found = Unfit<F>;
    fn fit(&self) -> Unfit<F> {
        Unfit(self.0)
    }
}

/// Stands in for a form whose collection has no values for the elements.
#[derive(Debug, Clone, Copy)]
pub struct Unfit<F>(F);

/// The collection of an [`Unfit`] form.
#[derive(Debug)]
pub struct Nothing;

impl<F: Form> Form for Unfit<F> {
    type Output = F::Output;
    type Collection = Nothing;
    type Error = F::Error;

    fn open(self, _: F::Output) -> Result<Nothing, F::Error> {
        Ok(Nothing)
    }
    fn found(self, _: Nothing) -> F::Output {
        unreachable!("a program with this form does not compile")
    }
    fn failed(self, error: F::Error) -> F::Output {
        self.0.failed(error)
    }
    fn share(self, error: &F::Error) -> Option<SharedError> {
        self.0.share(error)
    }
    fn unshare(self, error: &SharedError) -> Option<F::Error> {
        self.0.unshare(error)
    }
}

impl<K> Collection<K> for Nothing {
    type Value = ();
    fn open(self, _: &[K]) -> Result<Vec<Option<()>>, Self> {
        Err(self)
    }
    fn close(_: impl Iterator<Item = (K, Option<()>)>) -> Self {
        Self
    }
}
