//! Methods: a repository that holds its own cache, with a tenant in the keys, behind a trait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cache_runtime::{Cache, Error, cached, invalidates};

/// Users of one tenant. The map stands for a database.
#[derive(Debug)]
struct Users {
    tenant: String,
    names: Mutex<HashMap<u64, String>>,
    cache: Cache,
}

impl Users {
    fn new(tenant: &str, cache: &Cache) -> Self {
        Self {
            tenant: tenant.to_owned(),
            names: Mutex::default(),
            cache: cache.clone(),
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u64, String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `self.cache`, rather than the installed cache. `<self.tenant>` keeps the tenants apart.
    #[cached(key = "name:<self.tenant>:<id>", cache = self.cache)]
    async fn name(&self, id: u64) -> Option<String> {
        self.table().get(&id).cloned()
    }
}

/// What the rest of the application knows of it.
trait Directory {
    async fn greeting(&self, id: u64) -> Option<String>;
    async fn rename(&self, id: u64, name: &str);
}

/// The annotations go on the implementation. Another one, such as a test's, need not cache at all.
impl Directory for Users {
    #[cached(key = "greeting:<self.tenant>:<id>", cache = self.cache)]
    async fn greeting(&self, id: u64) -> Option<String> {
        Some(format!(
            "Welcome to {}, {}!",
            self.tenant,
            self.name(id).await?
        ))
    }

    #[invalidates("name:<self.tenant>:<id>", "greeting:<self.tenant>:<id>", cache = self.cache)]
    async fn rename(&self, id: u64, name: &str) {
        self.table().insert(id, name.to_owned());
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let cache = Cache::builder().build().await?;
    let (north, south) = (Users::new("north", &cache), Users::new("south", &cache));
    north.rename(1, "Ada").await;
    south.rename(1, "Grace").await;
    assert_eq!(
        north.greeting(1).await.as_deref(),
        Some("Welcome to north, Ada!")
    );
    assert_eq!(
        south.greeting(1).await.as_deref(),
        Some("Welcome to south, Grace!")
    );

    north.rename(1, "Ada Lovelace").await;
    println!("{}", north.greeting(1).await.unwrap_or_default());
    println!("{}", south.greeting(1).await.unwrap_or_default());

    for function in cache.stats().functions {
        println!(
            "{:<8} {} hits, {} loads",
            function.spec.name(),
            function.hits,
            function.loads
        );
    }
    Ok(())
}
