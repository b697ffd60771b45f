//! The cache of the process. One test, as there is one process.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use cache_runtime::{Cache, Error, cached};

static LOADS: AtomicU64 = AtomicU64::new(0);

#[cached(key = "number:<id>")]
async fn number(id: u64) -> u64 {
    let _ = id;
    LOADS.fetch_add(1, SeqCst)
}

#[tokio::test]
async fn the_first_cache_that_is_installed_is_that_of_the_process() {
    let before = number(1).await;

    let first = Cache::builder().build().await.unwrap();
    first.clone().install().unwrap();
    let installed = number(1).await;
    assert_ne!(
        installed, before,
        "what was cached before is in another cache"
    );
    assert_eq!(number(1).await, installed);
    assert_eq!(first.stats().function(number::SPEC).hits, 1);
    assert_eq!(
        tokio::spawn(number(1)).await.unwrap(),
        installed,
        "for every task"
    );
    let in_thread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(number(1))
    });
    assert_eq!(in_thread.join().unwrap(), installed, "and every runtime");

    let second = Cache::builder().build().await.unwrap();
    let error = second.clone().install().unwrap_err();
    assert!(matches!(error, Error::AlreadyInstalled), "{error}");
    assert_eq!(number(1).await, installed, "the first one stays");
    assert!(second.stats().functions.is_empty());

    let scoped = second.scope(async {
        let scoped = number(1).await;
        assert_eq!(
            tokio::spawn(number(1)).await.unwrap(),
            installed,
            "a spawned task has the installed one"
        );
        scoped
    });
    assert_ne!(scoped.await, installed, "a scope goes before");
    Cache::current().invalidate("number:1").await.unwrap();
    assert_eq!(first.scope(number::peek(1)).await, None);
}
