//! A loader as the cache sees it: without its types, called from the text of a key.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::pin::{Pin, pin};

use super::ahead::Next;
use super::loader::ReadThrough;
use crate::backend::{Life, Mark};
use crate::cache::Cache;
use crate::error::{Error, GetError, LoadFailure};
use crate::key::{Key, KeyText};
use crate::pattern::background::{Refresh, replace};
use crate::pattern::contexts::Contexts;
use crate::pattern::entries::{self, CacheValue};
use crate::pattern::known::Known;
use crate::pattern::read::{Answer, read_tagged};
use crate::shape::{Outcome, Shape};
use crate::spec::Spec;

/// The arguments of a call, without their type. They are of the [`Loader`] that told them from the key.
pub(crate) type Arguments = Box<dyn Any + Send>;

/// A call under way.
pub(super) type Calling = Pin<Box<dyn Future<Output = Result<Called, GetError>> + Send>>;

/// A look at an entry that is due.
pub(super) type Refreshing = Pin<Box<dyn Future<Output = Next> + Send>>;

/// What a call came to.
pub struct Called {
    /// Without its type; `None` if the loader says that there is none.
    pub(crate) value: Option<Box<dyn Any + Send>>,
    pub(crate) origin: Origin,
}

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Called")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The cache, or a load of somebody else.
    There,
    /// This call's load.
    Loaded,
}

/// A type, and its name for messages.
#[derive(Debug, Clone, Copy)]
pub struct TypeOf {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

/// A loader without its types.
pub trait Loader: fmt::Debug + Send + Sync {
    /// What its annotation says.
    fn spec(&self) -> &'static Spec;
    /// The type of a context that it needs and that is not there.
    fn missing(&self, contexts: &Contexts) -> Option<&'static str>;
    /// The type of the values that it caches.
    fn value(&self) -> TypeOf;
    /// Its arguments, told from the texts in a key.
    fn arguments(&self, values: &[KeyText<'_>]) -> Option<Arguments>;
    /// The call with these arguments, on this cache.
    fn call(&'static self, cache: Cache, key: Key, arguments: Arguments) -> Calling;
    /// Loads the entry anew, if it is past its soft TTL and no other process does.
    fn refresh_if_due(&'static self, cache: Cache, key: Key, arguments: Arguments) -> Refreshing;
}

/// An error that a loader can fail with where its caller does not know its type.
#[diagnostic::on_unimplemented(
    message = "the error of a read-through loader has to be `Display + Send + 'static`",
    label = "its text is what `Cache::get` reports"
)]
pub trait LoaderError: fmt::Display + Send + 'static {}

impl<E: fmt::Display + Send + 'static> LoaderError for E {}

/// A loader with the shape of its result, which has no name that a static could be declared with.
struct Shaped<A: 'static, S: Shape<Output: 'static>> {
    loader: &'static ReadThrough<A, S::Output>,
    shape: S,
}

/// Takes the types off a loader.
pub fn loader<A, S>(loader: &'static ReadThrough<A, S::Output>, shape: S) -> Box<dyn Loader>
where
    A: Send + 'static,
    S: Shape + Send + Sync + 'static,
    S::Output: Send + 'static,
    S::Value: CacheValue,
    S::Error: LoaderError,
{
    Box::new(Shaped { loader, shape })
}

impl<A, S: Shape<Output: 'static>> fmt::Debug for Shaped<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.loader.fmt(f)
    }
}

impl<A, S> Shaped<A, S>
where
    A: Send + 'static,
    S: Shape + Send + Sync + 'static,
    S::Output: Send + 'static,
    S::Value: CacheValue,
    S::Error: LoaderError,
{
    /// As the call of the annotated function.
    async fn call(
        &'static self,
        cache: Cache,
        key: Key,
        arguments: A,
    ) -> Result<(S::Output, Origin), Error> {
        let spec = self.loader.spec();
        let answer = {
            let known = || self.loader.known(&arguments);
            read_tagged(spec, Some(cache.clone()), &key, self.shape, &known)
        };
        match answer.await {
            Answer::Hit(hit) => Ok((hit.output(), Origin::There)),
            Answer::Ready(output) => Ok((output, Origin::There)),
            Answer::Due(output, refresh) => {
                replace(*refresh, self.loader.start(&cache, arguments));
                Ok((output, Origin::There))
            }
            Answer::Late(limit) => Err(Error::Timeout(limit)),
            Answer::Load(load) => {
                let body = self.loader.start(&cache, arguments);
                let output = match spec.timeout() {
                    None => load.run(pin!(body)).await,
                    Some(_) => load.run_in_time(body).await.map_err(Error::Timeout)?,
                };
                Ok((output, Origin::Loaded))
            }
        }
    }

    async fn refresh(&'static self, cache: Cache, key: Key, arguments: A) -> Next {
        let known = self.loader.known(&arguments);
        let (mark, life) = match self.look(&cache, &key, &known).await {
            Look::Due(mark, life) => (mark, life),
            Look::Otherwise(next) => return next,
        };
        let inner = &cache.inner;
        let Some(turn) = inner.refreshes.begin(&key, &inner.clock) else {
            return Next::Later(inner.refreshes.pause(&key, &inner.clock));
        };
        let body = self.loader.start(&cache, arguments);
        let (spec, shape) = (self.loader.spec(), self.shape);
        let call = (cache.clone(), spec, key.clone(), known.clone(), shape);
        let refresh = Refresh::new(call, mark, &life, turn).ahead();
        refresh.run_in_time(body).await;
        match self.look(&cache, &key, &known).await {
            Look::Due(..) => Next::Later(inner.refreshes.pause(&key, &inner.clock)),
            Look::Otherwise(next) => next,
        }
    }

    async fn look(&self, cache: &Cache, key: &Key, known: &Known) -> Look {
        let inner = &cache.inner;
        let spec = self.loader.spec();
        let mut budget = inner.guarded.budget();
        let tags = known.tags().as_slice();
        let stored = match inner.guarded.get(key, tags, &mut budget).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Look::Otherwise(Next::Forget),
            Err(_) => return Look::Otherwise(Next::Later(None)),
        };
        let mark = stored.mark();
        let found = entries::read(self.shape, inner.functions.of(spec), stored);
        let Some(found) = found.filter(|found| !found.life.is_expired()) else {
            return Look::Otherwise(Next::Forget);
        };
        let (life, age) = (found.life, found.life.age());
        let soft = life.soft().or(spec.refresh_after()).unwrap_or_default();
        if age < soft {
            return Look::Otherwise(Next::Newer {
                age,
                left: soft - age,
                ttl_left: life.ttl().saturating_sub(age),
            });
        }
        Look::Due(mark, life)
    }
}

/// What an entry that was thought to be due turns out to be.
enum Look {
    Due(Mark, Life),
    Otherwise(Next),
}

impl<A, S> Loader for Shaped<A, S>
where
    A: Send + 'static,
    S: Shape + Send + Sync + 'static,
    S::Output: Send + 'static,
    S::Value: CacheValue,
    S::Error: LoaderError,
{
    fn spec(&self) -> &'static Spec {
        self.loader.spec()
    }

    fn missing(&self, contexts: &Contexts) -> Option<&'static str> {
        self.loader.missing(contexts)
    }

    fn value(&self) -> TypeOf {
        TypeOf {
            id: TypeId::of::<S::Value>(),
            name: type_name::<S::Value>(),
        }
    }

    fn arguments(&self, values: &[KeyText<'_>]) -> Option<Arguments> {
        let arguments = self.loader.parse(values)?;
        Some(Box::new(arguments))
    }

    fn call(&'static self, cache: Cache, key: Key, arguments: Arguments) -> Calling {
        let arguments = own(arguments);
        Box::pin(async move {
            let contexts = cache.inner.contexts.clone();
            let called = Self::call(self, cache, key, arguments).await;
            let (output, origin) = called.map_err(GetError::OfCache)?;
            let value: Option<Box<dyn Any + Send>> = match self.shape.open(output) {
                Outcome::Value(value) => Some(Box::new(value)),
                Outcome::Absent => None,
                Outcome::Failed(error) => {
                    let function = self.spec().name();
                    // The loader's own error says so too, but in a form that only the loader knows.
                    return Err(match self.missing(&contexts) {
                        Some(context) => {
                            GetError::OfCache(Error::MissingContext { function, context })
                        }
                        None => GetError::Failed(LoadFailure::new(function, error)),
                    });
                }
            };
            Ok(Called { value, origin })
        })
    }

    fn refresh_if_due(&'static self, cache: Cache, key: Key, arguments: Arguments) -> Refreshing {
        Box::pin(Self::refresh(self, cache, key, own(arguments)))
    }
}

fn own<A: 'static>(arguments: Arguments) -> A {
    match arguments.downcast() {
        Ok(arguments) => *arguments,
        Err(_) => {
            unreachable!("arguments are handed back to the loader that told them from the key")
        }
    }
}
