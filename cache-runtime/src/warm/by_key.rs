//! Loading a key without knowing its function: by the registry of read-through loaders.

use std::future::Future;
use std::pin::Pin;

use crate::cache::Cache;
use crate::error::GetError;
use crate::key::Key;
use crate::registry;

/// The load of one key. What became of it is told to the witness that the task carries; the error says why, where it failed.
pub(crate) type ByKey = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Finds the loader of the key and calls it, as a caller of its function would.
pub(crate) fn load(cache: &Cache, key: &Key) -> ByKey {
    let (cache, key) = (cache.clone(), key.clone());
    Box::pin(async move {
        match registry::load(&cache, &key).await {
            Ok(_) => Ok(()),
            // The key is named in the report already.
            Err(GetError::NoLoader { hint, .. }) if hint.is_empty() => {
                Err("no read-through loader has a template that it fits".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    })
}
