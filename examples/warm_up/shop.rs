//! The application: a database, and a loader in front of it.

use std::sync::Arc;

use cache_runtime::{Error, cached};
use serde::{Deserialize, Serialize};

/// Stands for a database. How often it is asked is counted by the cache.
#[derive(Debug, Clone, Default)]
pub(crate) struct Db;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: u32,
}

/// A read-through loader: whoever knows a key of it can have it loaded, and so a warm-up needs nothing but keys.
#[cached(pattern = "read-through", key = "product:<id>", ttl = 3600)]
pub(crate) async fn load_product(#[context] db: &Db, id: u32) -> Result<Arc<Product>, Error> {
    Ok(db.query_product(id).await)
}

impl Db {
    async fn query_product(&self, id: u32) -> Arc<Product> {
        tokio::task::yield_now().await;
        Arc::new(Product { id })
    }
}
