//! Writers that fill the cache: what they store has tags too.

use std::sync::Arc;

use cache_runtime::{Cache, Error, cached};
use tests::on_each_backend;

use super::{Db, User};

#[cached(key = "w:<id>", tags = ["org:<return.org>", "all"])]
async fn load(db: &Db, id: u64) -> User {
    db.user(id).await
}

async fn written(db: &Db, user: User) -> User {
    db.read.pass().await;
    user
}

#[cached(pattern = "write-through", key = "w:<user.id>", tags = ["org:<return.org>", "all"])]
async fn save(db: &Db, user: User) -> Result<User, Error> {
    Ok(written(db, user).await)
}

#[cached(pattern = "write-through", key = "w:<user.id>", value = user, tags = ["org:<user.org>", "all"], consistency = "strict")]
async fn save_strict(db: &Db, user: User) -> Result<(), Error> {
    written(db, user).await;
    Ok(())
}

#[cached(pattern = "write-through", key = "w:<return.id>", version = "<return.version>", tags = ["org:<return.org>", "all"])]
async fn save_versioned(db: &Db, user: User) -> Result<User, Error> {
    Ok(written(db, user).await)
}

#[cached(pattern = "write-behind", key = "b:<user.id>", tags = ["org:<user.org>", "all"])]
async fn save_later(#[context] db: &Arc<Db>, user: User) -> Result<(), Error> {
    written(db, user).await;
    Ok(())
}

#[cached(key = "b:<id>", tags = ["org:<return.org>", "all"])]
async fn load_later(db: &Db, id: u64) -> User {
    db.user(id).await
}

#[derive(Debug, Clone, Copy)]
enum Writer {
    Fenced,
    Strict,
    Versioned,
}

async fn save_by(writer: Writer, db: &Db, user: User) {
    match writer {
        Writer::Fenced => drop(save(db, user).await.unwrap()),
        Writer::Strict => save_strict(db, user).await.unwrap(),
        Writer::Versioned => drop(save_versioned(db, user).await.unwrap()),
    }
}

const WRITERS: [Writer; 3] = [Writer::Fenced, Writer::Strict, Writer::Versioned];

fn user(org: u32, version: u64) -> User {
    User {
        id: 1,
        org,
        version,
    }
}

#[tokio::test]
async fn what_a_writer_stores_goes_with_its_tags() {
    on_each_backend(async |cache: Cache| {
        let db = Db::open();
        for (version, writer) in (1..).zip(WRITERS) {
            save_by(writer, &db, user(7, 2 * version)).await;
            let loads = db.loads();
            assert_eq!(load(&db, 1).await.org, 7, "{writer:?}");
            cache.invalidate_tag("org:8").await.unwrap();
            load(&db, 1).await;
            assert_eq!(db.loads(), loads, "{writer:?}");
            cache.invalidate_tag("org:7").await.unwrap();
            assert_eq!(load(&db, 1).await.org, 0, "{writer:?}");
            cache.invalidate_all(["w:1"]).await.unwrap();
        }
    })
    .await;
}

/// All rows of a tag are changed while a write of one of them is under way: which of the two was last is not known.
#[tokio::test]
async fn a_write_beside_an_invalidation_of_its_tag_leaves_no_value() {
    on_each_backend(async |cache: Cache| {
        for (version, writer) in (1..).zip(WRITERS) {
            let db = Db::default();
            tokio::join!(save_by(writer, &db, user(7, 2 * version)), async {
                db.read.arrived(1).await;
                cache.invalidate_tag("org:7").await.unwrap();
                db.read.open();
            });
            assert_eq!(load::peek(1).await, None, "{writer:?}");
            assert_eq!(load(&db, 1).await.org, 0, "{writer:?}");
            cache.invalidate_all(["w:1"]).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_pending_value_is_seen_until_it_is_flushed_and_then_goes_with_its_tags() {
    let db = Db::open();
    let context = db.clone();
    let server = tests::RedisServer::start().await;
    let builders = [Cache::builder(), tests::redis_builder(&server)];
    for builder in builders {
        let cache = builder.provide(context.clone()).build().await.unwrap();
        cache
            .scope(async {
                save_later(user(7, 1)).await.unwrap();
                assert_eq!(load_later(&db, 1).await.org, 7);
                cache.flush_now().await.unwrap();
                assert_eq!(load_later(&db, 1).await.org, 7);
                cache.invalidate_tag("org:7").await.unwrap();
                assert_eq!(load_later(&db, 1).await.org, 0);
            })
            .await;
    }
}

/// A body has run, and the log does not know yet when all rows of its tag are changed: what it wrote is shown until it is finished, and no longer.
#[tokio::test]
async fn a_pending_value_from_before_an_invalidation_of_its_tag_does_not_stay() {
    let server = tests::RedisServer::start().await;
    for builder in [Cache::builder(), tests::redis_builder(&server)] {
        let db = Arc::new(Db::default());
        let cache = builder.provide(db.clone()).build().await.unwrap();
        cache
            .scope(async {
                save_later(user(7, 1)).await.unwrap();
                let flushing = tokio::spawn({
                    let cache = cache.clone();
                    async move { cache.flush_now().await }
                });
                // The body is under way: it has committed, say.
                db.read.arrived(1).await;
                cache.invalidate_tag("org:7").await.unwrap();
                assert_eq!(load_later(&db, 1).await.org, 7);
                db.read.open();
                flushing.await.unwrap().unwrap();
                assert_eq!(load_later(&db, 1).await.org, 0);
            })
            .await;
    }
}
