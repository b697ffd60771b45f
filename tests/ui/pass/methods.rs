//! Every receiver that a loader may have, and associated functions.
#![deny(warnings)]

use std::sync::Arc;

use cache_runtime::{Cache, KeyPart, KeyWriter, cached, invalidates};

struct Repo {
    tenant: u32,
    cache: Cache,
}

impl KeyPart for Repo {
    fn write_key(&self, key: &mut KeyWriter) {
        key.part(&self.tenant);
    }
}

impl Repo {
    #[cached(key = "by-ref:<self.tenant>:<id>", cache = self.cache)]
    async fn by_ref(&self, id: u64) -> u64 {
        id + u64::from(self.tenant)
    }

    #[cached]
    async fn default_key(&self, id: u64) -> u64 {
        id
    }

    #[cached(skip(self), cache = &self.cache)]
    async fn skips_self(&self, id: u64) -> u64 {
        id
    }

    #[cached(key = "arc:<self.tenant>:<id>")]
    async fn arc(self: Arc<Self>, id: u64) -> u64 {
        id + u64::from(self.tenant)
    }

    #[cached(key = "by-value:<self.tenant>")]
    async fn by_value(mut self) -> u32 {
        self.tenant += 1;
        self.tenant
    }

    #[cached(key = "self:<id>")]
    async fn names_self(id: u64) -> u64 {
        Self::twice(id)
    }

    #[cached(companion = false)]
    async fn without_self(id: u64) -> u64 {
        id
    }

    #[invalidates("by-ref:<self.tenant>:<id>", cache = self.cache)]
    async fn write(&mut self, id: u64) -> Result<(), String> {
        self.tenant += 1;
        let _ = id;
        Ok(())
    }

    fn twice(id: u64) -> u64 {
        id * 2
    }
}

#[tokio::main]
async fn main() {
    let cache = Cache::builder().build().await.unwrap();
    let repo = || Repo {
        tenant: 7,
        cache: cache.clone(),
    };
    assert_eq!(repo().by_ref(1).await, 8);
    assert_eq!(repo().default_key(1).await, 1);
    assert_eq!(repo().skips_self(1).await, 1);
    assert_eq!(Arc::new(repo()).arc(1).await, 8);
    assert_eq!(repo().by_value().await, 8);
    assert_eq!(Repo::names_self(2).await, 4);
    assert_eq!(Repo::without_self(2).await, 2);
    assert_eq!(repo().write(1).await, Ok(()));
}
