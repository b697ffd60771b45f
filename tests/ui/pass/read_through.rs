//! Read-through loaders in all the forms that they may have.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused, unreachable_pub)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::{Cache, Error, cached, invalidates};

/// A pool.
#[derive(Clone, Debug)]
pub struct Pool;

/// Documented.
#[cached(pattern = "read-through", key = "user:<id>", ttl = 300, refresh_after = "200s")]
#[must_use = "it is loaded to be used"]
pub async fn load_user(#[context] pool: &Pool, id: u64) -> Result<Option<String>, Error> {
    let _ = pool;
    Ok(Some(id.to_string()))
}

type Answer<T> = Result<Option<Arc<T>>, Error>;

#[cached(
    pattern = "read-through",
    key = "all:<text>:<list>:<set>:<r#type>:<mine>",
    jitter = "10%",
    stampede = "lock+early+swr",
    refresh_after = "1m",
    beta = 2.0,
    stale_if_error = "1h",
    negative_ttl = 30,
    timeout = "1s",
    consistency = "strict",
    codec = "json",
    schema = 2,
    ttl_with = ttl_of
)]
async fn all(
    #[context] pool: Pool,
    text: &str,
    mut list: Vec<Option<u8>>,
    #[context] same: &Arc<Pool>,
    set: &BTreeSet<(i8, bool)>,
    r#type: char,
    mine: Box<str>,
) -> Answer<Vec<u8>> {
    list.clear();
    let _ = (pool, same, text, list, set, r#type, mine);
    Ok(None)
}

fn ttl_of(value: &Arc<Vec<u8>>) -> Option<Duration> {
    (!value.is_empty()).then_some(Duration::from_secs(60))
}

#[cached(pattern = "read-through", key = "config", cache = Cache::current(), companion = false)]
async fn config() -> u64 {
    7
}

#[cached(pattern = "read-through", key = "unused:<id>", stampede = "none")]
async fn unused(id: u64) -> u64 {
    1
}

#[cached(pattern = "read-through", key = "fib:<n>")]
async fn fib(n: u64) -> u64 {
    if n < 2 {
        n
    } else {
        Box::pin(fib(n - 1)).await + Box::pin(fib(n - 2)).await
    }
}

#[invalidates("user:<id>")]
async fn rename(id: u64) {}

mod inner {
    use cache_runtime::cached;

    // Two of a name in modules of their own.
    #[cached(pattern = "read-through", key = "other:<id>")]
    pub(crate) async fn load_user(id: u64) -> Option<String> {
        #[cached(pattern = "read-through", key = "nested:<id>")]
        async fn nested(id: u64) -> Option<String> {
            Some(id.to_string())
        }
        nested(id).await
    }
}

fn is_send<F: Future + Send>(future: F) -> F {
    future
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(is_send(async {
        let builder = Cache::builder().provide(Pool).provide(Arc::new(Pool));
        let cache = builder.build().await.unwrap();
        let calls = cache.scope(async {
            assert_eq!(load_user(1).await.unwrap().as_deref(), Some("1"));
            let set = BTreeSet::new();
            assert!(all("x", vec![None], &set, 'c', "m".into()).await.unwrap().is_none());
            assert_eq!(config().await, 7);
            assert_eq!(unused(1).await, 1);
            assert_eq!(fib(20).await, 6765);
            assert_eq!(inner::load_user(1).await.as_deref(), Some("1"));
            load_user::refresh(1).await.unwrap();
            rename(1).await;
            assert!(load_user::peek(1).await.is_none());
        });
        calls.await;
        assert_eq!(cache.get::<u64>("config").await.unwrap(), Some(7));
        assert_eq!(cache.get::<String>("nested:1").await.unwrap().as_deref(), Some("1"));
        assert!(cache.get::<Arc<Vec<u8>>>("all:x:%(%!%,%):%(%):c:m").await.unwrap().is_none());
    }));
}
