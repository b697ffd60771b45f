//! A value by its key: the loader whose template the key fits is found, its arguments are told from the key, and it is called.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::{Entry, Place, Template, functions, loaders};
use crate::cache::Cache;
use crate::error::Error;
use crate::key::Key;
use crate::pattern::read_through::{Arguments, Called, Origin};

/// Why [`Cache::get`] has no value to return.
#[derive(Debug)]
#[non_exhaustive]
pub enum GetError {
    /// No read-through loader of the program has a template that the key fits.
    NoLoader {
        /// The key.
        key: String,
        /// What is close to it, as a sentence; empty if nothing is.
        hint: String,
    },
    /// The key fits several read-through loaders.
    Ambiguous {
        /// The key.
        key: String,
        /// Their names and places.
        loaders: Vec<String>,
    },
    /// The loader has values of another type.
    OtherType {
        /// The key.
        key: String,
        /// Its loader's name and place.
        loader: String,
        /// The type of its values.
        value: &'static str,
        /// The type that was asked for.
        asked: &'static str,
    },
    /// The loader failed.
    Failed(LoadFailure),
    /// The cache's own error: [`Error::MissingContext`] or [`Error::Timeout`].
    OfCache(Error),
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLoader { key, hint } => {
                write!(f, "no read-through loader has a template that `{key}` fits")?;
                if hint.is_empty() {
                    Ok(())
                } else {
                    write!(f, "; {hint}")
                }
            }
            Self::Ambiguous { key, loaders } => write!(
                f,
                "`{key}` fits several read-through loaders, and only one could be meant: {}",
                loaders.join(", ")
            ),
            Self::OtherType {
                key,
                loader,
                value,
                asked,
            } => write!(
                f,
                "`{key}` is of {loader}, whose value is `{value}` and not `{asked}`"
            ),
            Self::Failed(failure) => failure.fmt(f),
            Self::OfCache(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for GetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OfCache(error) => error.source(),
            _ => None,
        }
    }
}

/// The error of a loader that was called by its key: its text, and the error itself.
pub struct LoadFailure {
    function: &'static str,
    text: String,
    error: Mutex<Box<dyn Any + Send>>,
}

impl LoadFailure {
    pub(crate) fn new<E: fmt::Display + Send + 'static>(function: &'static str, error: E) -> Self {
        Self {
            function,
            text: error.to_string(),
            error: Mutex::new(Box::new(error)),
        }
    }

    /// The loader's name.
    #[must_use]
    pub fn function(&self) -> &'static str {
        self.function
    }

    /// The loader's own error.
    ///
    /// # Errors
    ///
    /// The failure, if the error is of another type.
    pub fn downcast<E: Any>(self) -> Result<E, Self> {
        let Self {
            function,
            text,
            error,
        } = self;
        let error = error.into_inner().unwrap_or_else(PoisonError::into_inner);
        error.downcast().map(|error| *error).map_err(|error| Self {
            function,
            text,
            error: Mutex::new(error),
        })
    }
}

impl fmt::Debug for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadFailure")
            .field("function", &self.function)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` failed: {}", self.function, self.text)
    }
}

impl std::error::Error for LoadFailure {}

impl Cache {
    /// The value of the key, by the read-through loader whose template the key fits. It is just the call of that loader: a hit, or one load for all who
    /// ask at the same time; and it is on this cache, whatever is installed.
    ///
    /// `T` is what the loader caches: `User` for one that returns `Result<Option<User>, E>`, `Arc<User>` for one that returns `Arc<User>`. `None` is the `None` of a loader
    /// that can say so.
    ///
    /// ```
    /// use cache_runtime::{Cache, cached};
    ///
    /// #[cached(pattern = "read-through", key = "square:<n>", ttl = 300)]
    /// async fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// let cache = Cache::builder().build().await?;
    /// assert_eq!(cache.get::<u64>("square:7").await?, Some(49));
    /// let error = cache.get::<u64>("sqare:7").await.unwrap_err();
    /// assert!(error.to_string().contains("did you mean `square:<n>`"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`GetError::NoLoader`] if the key fits no template, or holds what its argument's type would not have been written as, such as `007`;
    /// [`GetError::Ambiguous`] if it fits several; [`GetError::OtherType`] if the value is of another type than `T`; [`GetError::Failed`] if the
    /// loader fails; [`GetError::OfCache`] if the cache was not given a context that the loader needs, or the loader's `timeout` is over.
    pub async fn get<T: 'static>(&self, key: impl Into<Key>) -> Result<Option<T>, GetError> {
        let key = key.into();
        let found = find(&key)?;
        let value = found.entry.loader.value();
        if value.id != TypeId::of::<T>() {
            return Err(GetError::OtherType {
                key: key.to_string(),
                loader: found.entry.described(),
                value: value.name,
                asked: type_name::<T>(),
            });
        }
        let called = found.call(self, key).await?;
        let value = called.value.map(|value| match value.downcast() {
            Ok(value) => *value,
            Err(_) => unreachable!("a loader's values are of the type that it names"),
        });
        Ok(value)
    }
}

/// What a load by key came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// There was a value before, or somebody else has loaded it meanwhile.
    Before,
    /// This load.
    Now,
    /// The loader says that there is none, or has said so before.
    Absent,
}

/// Sees to it that the key has a value, as a call of its loader would.
pub(crate) async fn load(cache: &Cache, key: &Key) -> Result<Loaded, GetError> {
    let called = find(key)?.call(cache, key.clone()).await?;
    Ok(match (called.value, called.origin) {
        (None, _) => Loaded::Absent,
        (Some(_), Origin::There) => Loaded::Before,
        (Some(_), Origin::Loaded) => Loaded::Now,
    })
}

/// A loader, and its arguments as the key says them.
struct Found {
    entry: &'static Entry,
    arguments: Arguments,
}

impl Found {
    async fn call(self, cache: &Cache, key: Key) -> Result<Called, GetError> {
        // In its scope, so that what the loader calls in turn is on this cache too.
        let call = self.entry.loader.call(cache.clone(), key, self.arguments);
        cache.scope(call).await
    }
}

/// The one loader that the key fits.
fn find(key: &Key) -> Result<Found, GetError> {
    let mut fitting = loaders()
        .iter()
        .filter_map(|entry| Some((entry, entry.arguments(key)?)));
    let Some((entry, arguments)) = fitting.next() else {
        return Err(GetError::NoLoader {
            key: key.to_string(),
            hint: hint(key),
        });
    };
    let others: Vec<_> = fitting.map(|(entry, _)| entry.described()).collect();
    if others.is_empty() {
        return Ok(Found { entry, arguments });
    }
    let mut loaders = vec![entry.described()];
    loaders.extend(others);
    loaders.sort_unstable();
    Err(GetError::Ambiguous {
        key: key.to_string(),
        loaders,
    })
}

/// What may have been meant by a key that fits nothing.
fn hint(key: &Key) -> String {
    let fits = |entry: &&Entry| entry.template.values(key).is_some();
    if let Some(entry) = loaders().iter().find(fits) {
        return format!(
            "it has the form of {}, but holds no argument as that would be written",
            entry.described()
        );
    }
    let cached = functions().find(|(_, template)| template.values(key).is_some());
    if let Some((spec, _)) = cached {
        return format!(
            "it is a key of {}, which is no loader that the cache can run: give it `pattern = \"read-through\"`",
            Place::of(spec)
        );
    }
    let distance = |template: &Template| template.distance(key);
    let near = loaders()
        .iter()
        .map(|entry| (distance(&entry.template), entry));
    match near.min_by_key(|(distance, _)| *distance) {
        Some((distance, entry)) if distance <= entry.template.literal_length() / 3 => {
            let template = entry.loader.spec().template();
            format!("did you mean `{template}`, of {}?", entry.described())
        }
        _ => String::new(),
    }
}
