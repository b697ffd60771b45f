//! Which cache a call uses: the one given, the scope's, the process's, or one in memory.

use std::ops::Deref;

use once_cell::sync::{Lazy, OnceCell};

use super::Cache;
use crate::error::Error;

static INSTALLED: OnceCell<Cache> = OnceCell::new();

/// What functions run on where nothing was installed: 100,000 entries in memory, on the system clock.
static FALLBACK: Lazy<Cache> = Lazy::new(|| super::builder::CacheBuilder::default().in_memory());

/// The cache of a call: borrowed where it lives as long as the process, so that a hit counts no reference.
pub(crate) enum Current {
    Process(&'static Cache),
    Own(Cache),
}

impl Current {
    #[inline]
    pub(crate) fn process() -> Self {
        Self::Process(INSTALLED.get().unwrap_or_else(|| &FALLBACK))
    }

    pub(crate) fn into_owned(self) -> Cache {
        match self {
            Self::Process(cache) => cache.clone(),
            Self::Own(cache) => cache,
        }
    }
}

impl Deref for Current {
    type Target = Cache;

    #[inline]
    fn deref(&self) -> &Cache {
        match self {
            Self::Process(cache) => cache,
            Self::Own(cache) => cache,
        }
    }
}

impl Cache {
    /// Makes this the cache of the process: annotated functions use it unless a [`scope`](Cache::scope) or their own
    /// `cache = …` says otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyInstalled`] if one was installed before; the first one stays.
    pub fn install(self) -> Result<(), Error> {
        INSTALLED.set(self).map_err(|_| Error::AlreadyInstalled)
    }

    /// The cache that an annotated function called here would use: the scope's, else the installed one, else the
    /// in-memory one of the process.
    #[must_use]
    pub fn current() -> Self {
        super::context::place(None).cache.into_owned()
    }
}
