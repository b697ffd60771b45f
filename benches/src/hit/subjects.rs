//! The subjects of `hit`: each with the key `user:<id>`, room for all, and (but for quick_cache, which has none) a TTL.

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::Cache;
use cache_runtime::backend::Memory;
use hitbox::policy::PolicyConfig;
use hitbox_backend::format::BincodeFormat;
use hitbox_moka::MokaBackend;

use super::{CAPACITY, Call, Subject};
use crate::report::OURS;
use crate::workload::User;

const TTL: Duration = Duration::from_secs(300);

type Subjects = Vec<Box<dyn Subject>>;

/// Those that return the user itself, and those that return an `Arc` of it.
pub(super) async fn all() -> (Subjects, Subjects) {
    let memory = Memory::builder()
        .max_entries(CAPACITY)
        .build()
        .expect("a valid bound");
    let cache = Cache::builder()
        .backend(memory)
        .build()
        .await
        .expect("nothing to go wrong in memory");
    cache.install().expect("the first to be installed");
    (owned(), shared())
}

fn owned() -> Subjects {
    let hitbox = leaked(
        hitbox_fn::Cache::builder()
            .backend(
                MokaBackend::builder()
                    .max_entries(CAPACITY as u64)
                    .value_format(BincodeFormat)
                    .build(),
            )
            .policy(PolicyConfig::builder().ttl(TTL).build())
            .build(),
    );
    vec![
        Box::new(Call(OURS, annotated::ours)),
        quick_cache(User::new),
        Box::new(Call("cached", annotated::cached)),
        Box::new(Call("concurrent_cached", annotated::concurrent)),
        moka(User::new),
        Box::new(Call("hitbox", move |id| async move {
            annotated::hitbox(id).cache(hitbox).await
        })),
    ]
}

// hitbox stores bytes: it has no `Arc` to return.
fn shared() -> Subjects {
    let load = |id| Arc::new(User::new(id));
    vec![
        Box::new(Call(OURS, annotated::ours_shared)),
        quick_cache(load),
        Box::new(Call("cached", annotated::cached_shared)),
        Box::new(Call("concurrent_cached", annotated::concurrent_shared)),
        moka(load),
    ]
}

fn quick_cache<V: Clone + Send + Sync + 'static>(load: fn(u64) -> V) -> Box<dyn Subject> {
    let cache = leaked(quick_cache::sync::Cache::<String, V>::new(CAPACITY));
    Box::new(Call("quick_cache", move |id| async move {
        let key = format!("user:{id}");
        if let Some(value) = cache.get(&key) {
            return value;
        }
        let value = load(id);
        cache.insert(key, value.clone());
        value
    }))
}

fn moka<V: Clone + Send + Sync + 'static>(load: fn(u64) -> V) -> Box<dyn Subject> {
    let cache = moka::future::Cache::<String, V>::builder()
        .max_capacity(CAPACITY as u64)
        .time_to_live(TTL);
    let cache = leaked(cache.build());
    Box::new(Call("moka", move |id| async move {
        let key = format!("user:{id}");
        if let Some(value) = cache.get(&key).await {
            return value;
        }
        let value = load(id);
        cache.insert(key, value.clone()).await;
        value
    }))
}

/// Caches live as long as the process, so that no call pays for a count of references that a user would not have.
fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// The functions as users annotate them. 20,000 is [`CAPACITY`], which the peers' attributes only take as a number.
mod annotated {
    use std::sync::Arc;

    use crate::workload::User;

    #[cache_runtime::cached(key = "user:<id>", ttl = 300)]
    pub(super) async fn ours(id: u64) -> User {
        User::new(id)
    }

    #[cache_runtime::cached(key = "shared-user:<id>", ttl = 300)]
    pub(super) async fn ours_shared(id: u64) -> Arc<User> {
        Arc::new(User::new(id))
    }

    #[cached::macros::cached(max_size = 20_000, ttl_secs = 300, key = "String", convert = { format!("user:{id}") })]
    pub(super) async fn cached(id: u64) -> User {
        User::new(id)
    }

    #[cached::macros::cached(max_size = 20_000, ttl_secs = 300, key = "String", convert = { format!("user:{id}") })]
    pub(super) async fn cached_shared(id: u64) -> Arc<User> {
        Arc::new(User::new(id))
    }

    #[cached::macros::concurrent_cached(max_size = 20_000, ttl_secs = 300, key = "String", convert = { format!("user:{id}") })]
    pub(super) async fn concurrent(id: u64) -> User {
        User::new(id)
    }

    #[cached::macros::concurrent_cached(max_size = 20_000, ttl_secs = 300, key = "String", convert = { format!("user:{id}") })]
    pub(super) async fn concurrent_shared(id: u64) -> Arc<User> {
        Arc::new(User::new(id))
    }

    #[hitbox_fn::cached(prefix = "user")]
    pub(super) async fn hitbox(id: u64) -> User {
        User::new(id)
    }
}
