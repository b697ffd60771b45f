//! Loads under way when a tag or the namespace is invalidated: nobody who comes later gets what they find.

use std::collections::HashMap;
use std::sync::Arc;

use cache_runtime::backend::Memory;
use cache_runtime::{Cache, cached};
use tests::{RedisServer, in_memory, on_redis, within};

use super::{Db, User, of_argument, of_result};

/// Two caches on one store are two processes: the same cache twice is one.
async fn each_pair(test: impl AsyncFn(Cache, Cache)) {
    println!("in memory, one process");
    let cache = in_memory().await;
    within(test(cache.clone(), cache)).await;
    println!("in memory, two processes");
    let store = Arc::new(Memory::new());
    let build = async || {
        let builder = Cache::builder().backend(store.clone());
        builder.build().await.unwrap()
    };
    within(test(build().await, build().await)).await;
    let server = RedisServer::start().await;
    println!("on Redis, one process");
    let cache = on_redis(&server).await;
    within(test(cache.clone(), cache)).await;
    println!("on Redis, two processes");
    within(test(on_redis(&server).await, on_redis(&server).await)).await;
}

#[derive(Clone, Copy)]
enum What {
    Tag,
    Namespace,
}

async fn invalidate(cache: &Cache, what: What) {
    match what {
        What::Tag => cache.invalidate_tag("org:0").await.unwrap(),
        What::Namespace => cache.bump_namespace().await.unwrap(),
    }
}

/// A load begins, the rows change and are invalidated, and others ask: they see the change. `call` loads by one of the functions.
async fn later_callers_see_the_change<F>(
    id: u64,
    what: What,
    call: impl Fn(Arc<Db>, u64) -> F + Copy + 'static,
) where
    F: Future<Output = User> + 'static,
{
    each_pair(async |one, other| {
        // On one server the keys of one pair are not those of the next.
        one.clear().await.unwrap();
        let db = Arc::new(Db::default());
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let first = tokio::task::spawn_local(one.scope(call(db.clone(), id)));
                db.read.arrived(1).await;
                let version = db.change();
                invalidate(&other, what).await;
                let late = [&one, &other, &one]
                    .map(|cache| tokio::task::spawn_local(cache.scope(call(db.clone(), id))));
                // They are under way, and may well wait for the first one; it ends before they do.
                tests::idle().await;
                db.read.open();
                assert_eq!(first.await.unwrap().version, 0);
                for late in late {
                    assert_eq!(late.await.unwrap().version, version);
                }
                let last = other.scope(call(db.clone(), id)).await;
                assert_eq!(last.version, version);
                let loads = db.loads();
                one.scope(call(db.clone(), id)).await;
                assert_eq!(db.loads(), loads, "what was loaded last is stored");
            })
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_load_from_before_an_invalidation_of_a_known_tag_is_for_nobody_later() {
    later_callers_see_the_change(1, What::Tag, |db, id| async move {
        of_argument(&db, 0, id).await
    })
    .await;
}

#[tokio::test]
async fn a_load_from_before_an_invalidation_of_a_tag_of_its_result_is_for_nobody_later() {
    later_callers_see_the_change(
        1,
        What::Tag,
        |db, id| async move { of_result(&db, id).await },
    )
    .await;
}

#[cached(key = "b:<ids[]>", tags = ["org:<return.org>"])]
async fn batch_of_result(db: &Db, ids: &[u64]) -> HashMap<u64, User> {
    let user = db.user(0).await;
    ids.iter()
        .map(|&id| (id, User { id, ..user.clone() }))
        .collect()
}

#[cached(key = "a:<ids[]>", tags = ["org:<org>"])]
async fn batch_of_argument(db: &Db, org: u32, ids: &[u64]) -> HashMap<u64, User> {
    let _ = org;
    let user = db.user(0).await;
    ids.iter()
        .map(|&id| (id, User { id, ..user.clone() }))
        .collect()
}

#[tokio::test]
async fn so_it_is_for_batches() {
    later_callers_see_the_change(1, What::Tag, |db, id| async move {
        batch_of_result(&db, &[id, 2]).await.remove(&id).unwrap()
    })
    .await;
    later_callers_see_the_change(1, What::Tag, |db, id| async move {
        batch_of_argument(&db, 0, &[2, id])
            .await
            .remove(&id)
            .unwrap()
    })
    .await;
    later_callers_see_the_change(1, What::Namespace, |db, id| async move {
        batch_of_argument(&db, 0, &[2, id])
            .await
            .remove(&id)
            .unwrap()
    })
    .await;
}

/// Two callers of one key may name different tags: the second is not given what the first one's tag has invalidated.
#[tokio::test]
async fn a_load_is_not_shared_by_callers_who_know_other_tags() {
    each_pair(async |one, other| {
        one.clear().await.unwrap();
        let db = Db::default();
        let (first, late, ()) = tokio::join!(
            one.scope(of_argument(&db, 7, 1)),
            async {
                db.read.arrived(1).await;
                db.change();
                other.invalidate_tag("org:7").await.unwrap();
                one.scope(of_argument(&db, 8, 1)).await
            },
            async {
                db.read.arrived(1).await;
                for _ in 0..4 {
                    tests::idle().await;
                }
                db.read.open();
            },
        );
        assert_eq!((first.version, late.version), (0, 1));
    })
    .await;
}

#[cached(key = "plain:<id>")]
async fn plain(db: &Db, id: u64) -> User {
    db.user(id).await
}

#[tokio::test]
async fn a_load_from_before_a_bump_of_the_namespace_is_for_nobody_later() {
    later_callers_see_the_change(
        1,
        What::Namespace,
        |db, id| async move { plain(&db, id).await },
    )
    .await;
    later_callers_see_the_change(1, What::Namespace, |db, id| async move {
        of_result(&db, id).await
    })
    .await;
}

#[cached(key = "strict:<id>", tags = ["org:<return.org>"], consistency = "strict")]
async fn strict(db: &Db, id: u64) -> User {
    db.user(id).await
}

#[cached(key = "swr:<id>", tags = ["org:<return.org>"], timeout = "1h", stale_if_error = "1h")]
async fn in_background(db: &Arc<Db>, id: u64) -> Result<User, cache_runtime::Error> {
    Ok(db.user(id).await)
}

#[tokio::test]
async fn so_it_is_for_strict_readers_and_for_loads_that_outlive_their_call() {
    later_callers_see_the_change(1, What::Tag, |db, id| async move { strict(&db, id).await }).await;
    later_callers_see_the_change(1, What::Tag, |db, id| async move {
        in_background(&db, id).await.unwrap()
    })
    .await;
}

#[cached(key = "absent:<id>", tags = ["org:<org>"])]
async fn absent(db: &Db, org: u32, id: u64) -> Option<User> {
    let _ = org;
    let user = db.user(id).await;
    (user.version > 0).then_some(user)
}

/// "There is none" is a result like any other: those who were told of the load in time share it, those who come later do not.
#[tokio::test]
async fn that_there_is_none_is_shared_by_those_in_time_alone() {
    each_pair(async |one, other| {
        one.clear().await.unwrap();
        let db = Db::default();
        let (first, second, late, _) = tokio::join!(
            one.scope(absent(&db, 0, 1)),
            async {
                db.read.arrived(1).await;
                one.scope(absent(&db, 0, 1)).await
            },
            async {
                db.read.arrived(1).await;
                // The second one has asked by now.
                tests::idle().await;
                db.change();
                other.invalidate_tag("org:0").await.unwrap();
                one.scope(absent(&db, 0, 1)).await
            },
            async {
                db.read.arrived(1).await;
                tests::idle().await;
                tests::idle().await;
                db.read.open();
            },
        );
        assert_eq!(first, None);
        assert!(second.is_none_or(|user| user.version == 1));
        assert_eq!(late.map(|user| user.version), Some(1));
    })
    .await;
}

/// A thousand callers of a cold key load once, whatever tags the function has.
#[tokio::test]
async fn callers_of_a_tagged_function_share_one_load() {
    each_pair(async |one, other| {
        one.clear().await.unwrap();
        for of_the_result in [false, true] {
            let db = Arc::new(Db::default());
            let call = async |cache: &Cache| {
                if of_the_result {
                    cache.scope(of_result(&db, 5)).await
                } else {
                    cache.scope(of_argument(&db, 0, 5)).await
                }
            };
            let calls = (0..100).map(|n| call(if n % 2 == 0 { &one } else { &other }));
            let all = futures_join(calls.collect());
            let open = async {
                db.read.arrived(1).await;
                tests::idle().await;
                db.read.open();
            };
            tokio::join!(all, open);
            assert_eq!(db.loads(), 1);
        }
    })
    .await;
}

/// Polls all of them until each is done.
async fn futures_join<F: Future>(calls: Vec<F>) {
    let mut calls: Vec<_> = calls.into_iter().map(|call| Some(Box::pin(call))).collect();
    std::future::poll_fn(|cx| {
        for call in &mut calls {
            if call
                .as_mut()
                .is_some_and(|call| call.as_mut().poll(cx).is_ready())
            {
                *call = None;
            }
        }
        if calls.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
