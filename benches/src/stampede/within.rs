//! In one process, on an in-memory cache: every subject with its own protection switched on.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::Cache;
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_moka::MokaBackend;

use super::callers::{crowd, load};
use super::{CALLERS, ROUNDS, add, runtime};
use crate::report::{OURS, Report, progress};
use crate::workload::User;

type Subject = (
    &'static str,
    Box<dyn Fn(u64) -> Pin<Box<dyn Future<Output = User> + Send>>>,
);

pub(super) fn measure(report: &mut Report) {
    runtime().block_on(async {
        let subjects = subjects().await;
        for round in 1..=ROUNDS {
            for (name, call) in &subjects {
                progress(&format!("1 process: round {round} of {ROUNDS}, {name}"));
                let seen = crowd(CALLERS, round, call).await;
                add(report, "1-process", name, &[seen]);
            }
        }
    });
}

async fn subjects() -> Vec<Subject> {
    let ttl = Duration::from_secs(300);
    let cache = Cache::builder()
        .build()
        .await
        .expect("nothing to go wrong in memory");
    cache.install().expect("the first to be installed");
    let quick = Arc::new(quick_cache::sync::Cache::<String, User>::new(10_000));
    let moka = moka::future::Cache::<String, User>::builder()
        .max_capacity(10_000)
        .time_to_live(ttl)
        .build();
    let one = ConcurrencyLimit::new(1).expect("within its bounds");
    let hitbox = hitbox_fn::Cache::builder()
        .backend(MokaBackend::builder().max_entries(10_000).build())
        .policy(PolicyConfig::builder().ttl(ttl).concurrency(one).build())
        .concurrency_manager(BroadcastConcurrencyManager::new())
        .build();
    vec![
        (OURS, Box::new(|id| Box::pin(ours(id)))),
        (
            "quick_cache",
            Box::new(move |id| Box::pin(quick_cached(Arc::clone(&quick), id))),
        ),
        ("cached", Box::new(|id| Box::pin(cached(id)))),
        (
            "moka",
            Box::new(move |id| Box::pin(moka_cached(moka.clone(), id))),
        ),
        (
            "hitbox",
            Box::new(move |id| {
                let hitbox = hitbox.clone();
                Box::pin(async move { hitboxed(id).cache(&hitbox).await })
            }),
        ),
    ]
}

#[cache_runtime::cached(key = "user:<id>", ttl = 300)]
async fn ours(id: u64) -> User {
    load(id).await
}

#[cached::macros::cached(max_size = 10_000, ttl_secs = 300, sync_writes = "by_key", key = "String", convert = { format!("user:{id}") })]
async fn cached(id: u64) -> User {
    load(id).await
}

#[hitbox_fn::cached(prefix = "user")]
async fn hitboxed(id: u64) -> User {
    load(id).await
}

async fn quick_cached(cache: Arc<quick_cache::sync::Cache<String, User>>, id: u64) -> User {
    let loaded = async { Ok::<_, Infallible>(load(id).await) };
    let Ok(user) = cache
        .get_or_insert_async(&format!("user:{id}"), loaded)
        .await;
    user
}

async fn moka_cached(cache: moka::future::Cache<String, User>, id: u64) -> User {
    cache.get_with(format!("user:{id}"), load(id)).await
}
