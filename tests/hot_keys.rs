//! The hottest keys: how they are seen, kept across restarts, and what they cost.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use allocation_counter::measure;
use cache_runtime::warm::{FileProblem, HotKeys};
use cache_runtime::{Cache, CacheBuilder, Error, Key, cached};
use tests::{RedisServer, redis_builder, within};

#[cached(key = "page:<id>", ttl = 60)]
async fn load_page(id: u64) -> Arc<u64> {
    Arc::new(id)
}

#[cached(key = "page:<ids[]>", ttl = 60)]
async fn load_pages(ids: &[u64]) -> HashMap<u64, Arc<u64>> {
    ids.iter().map(|&id| (id, Arc::new(id))).collect()
}

async fn built(builder: CacheBuilder) -> Cache {
    builder.build().await.unwrap()
}

fn exact(keys: usize) -> HotKeys {
    HotKeys::new(keys).one_in(1)
}

fn names(cache: &Cache, most: usize) -> Vec<Key> {
    cache.hottest(most).into_iter().map(|hot| hot.key).collect()
}

async fn on_each(test: impl AsyncFn(CacheBuilder)) {
    within(test(Cache::builder())).await;
    let server = RedisServer::start().await;
    within(test(redis_builder(&server))).await;
}

#[tokio::test]
async fn hits_misses_and_elements_of_batches_are_counted() {
    on_each(async |builder| {
        let cache = built(builder.track_hot_keys(exact(100))).await;
        cache
            .scope(async {
                for id in [1, 2, 2, 3, 3, 3] {
                    load_page(id).await;
                }
                load_pages(&[1, 4]).await;
                load_pages(&[1, 4]).await;
                load_pages(&[1]).await;
            })
            .await;
        let hottest = cache.hottest(10);
        let counted: Vec<_> = hottest
            .iter()
            .map(|hot| (hot.key.as_str(), hot.accesses))
            .collect();
        assert_eq!(
            counted,
            [
                ("page:1", 4.0),
                ("page:3", 3.0),
                ("page:2", 2.0),
                ("page:4", 2.0)
            ]
        );
        assert_eq!(names(&cache, 1), ["page:1"]);
    })
    .await;
}

#[tokio::test]
async fn a_warm_up_is_no_access_and_a_refresh_is_none() {
    let cache = built(Cache::builder().track_hot_keys(exact(100))).await;
    cache.warm().arguments(1..=10, load_page).run().await;
    cache.scope(load_page::refresh(3)).await;
    assert_eq!(cache.hottest(10), []);
    assert_eq!(cache.scope(load_page(3)).await, Arc::new(3));
    assert_eq!(names(&cache, 10), ["page:3"]);
}

#[tokio::test]
async fn sampled_counts_are_about_right() {
    let cache = built(Cache::builder().track_hot_keys(HotKeys::new(1000))).await;
    cache
        .scope(async {
            for n in 0..64_000_u64 {
                load_page(n % 20 * (n % 2)).await;
            }
        })
        .await;
    let hottest = cache.hottest(1);
    assert_eq!(hottest[0].key, "page:0");
    assert!(
        (24_000.0..40_000.0).contains(&hottest[0].accesses),
        "{hottest:?}, of 32,000"
    );
}

#[tokio::test]
async fn they_survive_a_restart_and_are_what_a_warm_up_loads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hot.keys");
    let before = built(Cache::builder().track_hot_keys(exact(1000))).await;
    before
        .scope(async {
            for id in 0..200 {
                for _ in 0..=id {
                    load_page(id).await;
                }
            }
        })
        .await;
    before.save_hot_keys(&file).await.unwrap();
    before.save_hot_keys(&file).await.unwrap();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    let after = built(Cache::builder().track_hot_keys(exact(1000))).await;
    assert_eq!(after.load_hot_keys(&file).await.unwrap(), 200);
    assert_eq!(after.hottest(200), before.hottest(200));
    let by_key = |key: Key| load_page(key["page:".len()..].parse().unwrap());
    let report = after.warm().hottest(50).load_with(by_key).run().await;
    assert_eq!(report.loaded, 50);
    after
        .scope(async {
            assert!(load_page::peek(199).await.is_some());
            assert!(load_page::peek(150).await.is_some());
            assert!(load_page::peek(149).await.is_none());
        })
        .await;
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_nothing_of_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hot.keys");
    let cache = built(Cache::builder().track_hot_keys(exact(100))).await;
    cache.scope(load_page(1)).await;
    cache.save_hot_keys(&file).await.unwrap();
    let sound = fs::read(&file).unwrap();

    let other = built(Cache::builder().track_hot_keys(exact(100))).await;
    let problem = async || match other.load_hot_keys(&file).await {
        Err(Error::File(error)) => {
            assert!(error.to_string().contains("hot.keys"), "{error}");
            error
        }
        other => panic!("{other:?}"),
    };
    let mut changed = sound.clone();
    changed[20] ^= 1;
    fs::write(&file, &changed).unwrap();
    assert!(matches!(
        problem().await.problem(),
        FileProblem::Damaged { .. }
    ));
    fs::write(&file, &sound[..sound.len() - 3]).unwrap();
    assert!(matches!(
        problem().await.problem(),
        FileProblem::Damaged { .. }
    ));
    fs::write(&file, "something else entirely").unwrap();
    assert!(matches!(problem().await.problem(), FileProblem::Foreign(_)));
    fs::remove_file(&file).unwrap();
    assert!(matches!(problem().await.problem(), FileProblem::Io(_)));
    assert_eq!(other.hottest(10), []);

    let nowhere = folder.path().join("missing").join("hot.keys");
    assert!(matches!(
        cache.save_hot_keys(nowhere).await,
        Err(Error::File(_))
    ));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused() {
    for settings in [
        HotKeys::new(0),
        HotKeys::new(2_000_000),
        HotKeys::new(10).one_in(0),
    ] {
        let refused = Cache::builder().track_hot_keys(settings).build().await;
        assert!(matches!(refused, Err(Error::Config(_))), "{refused:?}");
    }
    let cache = built(Cache::builder()).await;
    assert_eq!(cache.hottest(10), []);
    let error = cache
        .save_hot_keys("/nowhere")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("track_hot_keys"), "{error}");
}

/// Also when the key that is counted takes another's place, as nearly all do here.
#[tokio::test]
async fn following_them_allocates_nothing_on_a_hit() {
    let cache = built(Cache::builder().track_hot_keys(exact(16))).await;
    cache
        .scope(async {
            for id in 0..100 {
                load_page(id).await;
            }
            let mut id = 0;
            let mut hit = async || {
                id = (id + 7) % 100;
                load_page(id).await
            };
            hit().await;
            let mut hits = std::pin::pin!(async {
                for _ in 0..1000 {
                    hit().await;
                }
            });
            let counted = measure(|| {
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(hits.as_mut().poll(&mut cx).is_ready());
            });
            assert_eq!(counted.count_total, 0);
        })
        .await;
}
