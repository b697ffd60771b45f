//! The gradual roll-out: the contract at every share, what is read while the share changes and the new backend fails, and its plan.

#[path = "gradual/contract.rs"]
mod contract;
#[path = "gradual/late.rs"]
mod late;
#[path = "gradual/plan.rs"]
mod plan;
#[path = "gradual/replaced.rs"]
mod replaced;
#[path = "gradual/storm.rs"]
mod storm;
#[path = "gradual/trouble.rs"]
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::backend::gradual::Rollout;
use cache_runtime::backend::{Backend, Gradual, GradualBuilder, Memory};
use cache_runtime::testing::{Faults, Faulty};
use cache_runtime::{Cache, Key, cached};
use tests::{DEADLINE, PATIENCE, eventually};

/// Nobody here has a write under way when the new backend is emptied, and a busy machine is not a new backend in trouble.
fn patient(builder: GradualBuilder) -> GradualBuilder {
    builder.settle(Duration::ZERO).patience(PATIENCE)
}

/// The stores of several processes.
#[derive(Debug, Clone, Default)]
struct Stores {
    old: Arc<Memory>,
    new: Arc<Memory>,
}

/// One process on them.
struct Host {
    cache: Cache,
    rollout: Rollout,
    /// Of its way to the new backend.
    faults: Faults,
}

impl Stores {
    async fn host(&self) -> Host {
        let (new, faults) = Faulty::new(self.new.clone());
        let (backend, rollout) = patient(Gradual::builder(self.old.clone(), new))
            .build()
            .unwrap();
        let cache = Cache::builder()
            .backend(backend)
            .operation_timeout(PATIENCE);
        Host {
            cache: cache.build().await.unwrap(),
            rollout,
            faults,
        }
    }
}

impl Host {
    /// The others follow within a moment.
    async fn at(&self, share: f64) {
        eventually(DEADLINE, async || self.rollout.status().share == share).await;
    }
}

/// Whether the backend has a value of the key.
async fn has(backend: &dyn Backend, key: &str) -> bool {
    backend.get(&Key::from(key)).await.unwrap().is_some()
}

#[cached(key = "number:<n>", ttl = 600)]
async fn number(n: u64) -> u64 {
    n
}

/// The number of the keys that each of the stores has.
async fn kept(stores: &Stores, keys: u64) -> (usize, usize) {
    let (mut old, mut new) = (0, 0);
    for n in 0..keys {
        let key = format!("number:{n}");
        old += usize::from(has(&stores.old, &key).await);
        new += usize::from(has(&stores.new, &key).await);
    }
    (old, new)
}
