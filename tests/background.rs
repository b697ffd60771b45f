//! What the body of a load in the background has to work with, while its call has long returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use cache_runtime::cached;
use tests::{DEADLINE, Gate, eventually, on_each_backend};

#[derive(Clone)]
struct Repo {
    name: String,
    loads: Arc<AtomicU64>,
}

impl Repo {
    #[cached(
        key = "sum:<self.name>:<label>:<ids>",
        ttl = "1h",
        stampede = "swr",
        refresh_after = "30m"
    )]
    async fn sum(&self, gate: &Gate, label: &str, ids: &[u64]) -> String {
        gate.pass().await;
        let load = self.loads.fetch_add(1, SeqCst) + 1;
        format!("{} {label} {ids:?} {load}", self.name)
    }
}

#[cached(
    key = "sum:<name>:<label>:<ids>",
    ttl = "1h",
    stampede = "swr",
    refresh_after = "1ms"
)]
async fn sum(name: &str, label: &str, ids: &[u64]) -> String {
    format!("{name} {label} {ids:?} of old")
}

#[tokio::test]
async fn the_body_has_a_copy_of_what_it_borrows_and_outlives_the_callers_own() {
    on_each_backend(async |_| {
        let (loads, waiting) = (Arc::default(), Gate::new());
        sum("Ada", "total", &[1, 2]).await;
        {
            let repo = Repo {
                name: "Ada".to_owned(),
                loads: Arc::clone(&loads),
            };
            let (gate, label, ids) = (waiting.clone(), "total".to_owned(), vec![1, 2]);
            eventually(DEADLINE, || async {
                let old = repo.sum(&gate, &label, &ids).await;
                assert_eq!(old, "Ada total [1, 2] of old");
                tokio::task::yield_now().await;
                waiting.count() == 1
            })
            .await;
        }
        waiting.open();
        eventually(DEADLINE, || async {
            sum::peek("Ada", "total", &[1, 2]).await.as_deref() == Some("Ada total [1, 2] 1")
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_body_sees_the_cache_of_its_callers_scope() {
    #[cached(key = "inner:<id>")]
    async fn inner(id: u64) -> u64 {
        id * 2
    }
    #[cached(
        key = "value:<id>",
        ttl = "1h",
        stampede = "swr",
        refresh_after = "30m"
    )]
    async fn outer(id: u64) -> u64 {
        inner(id).await
    }
    #[cached(
        key = "value:<id>",
        ttl = "1h",
        stampede = "swr",
        refresh_after = "1ms"
    )]
    async fn soon(id: u64) -> u64 {
        id
    }
    on_each_backend(async |cache| {
        soon::put(7, 100).await.unwrap();
        eventually(DEADLINE, || async { outer(7).await == 14 }).await;
        assert_eq!(inner::peek(7).await, Some(14));
        assert_eq!(cache.stats().function(inner::SPEC).loads, 1);
    })
    .await;
}
