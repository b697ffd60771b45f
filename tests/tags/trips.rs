//! What tags cost a server, counted by itself.

use std::collections::BTreeMap;

use tests::{RedisServer, on_redis};

use super::{Db, of_argument, of_result};

/// What the caller's own commands were.
async fn commands(server: &RedisServer) -> BTreeMap<String, u64> {
    let mut calls = server.calls().await;
    for of_the_test in [
        "info",
        "hello",
        "client|setinfo",
        "config|resetstat",
        "ping",
    ] {
        calls.remove(of_the_test);
    }
    // Once a second a read asks for the server's time as well.
    calls.remove("time");
    calls
}

fn only(name: &str, calls: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(name.to_owned(), calls)])
}

#[tokio::test]
async fn an_entry_and_the_tags_that_are_known_come_in_one_round_trip() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    cache.scope(of_argument(&db, 7, 1)).await;
    cache.scope(of_result(&db, 1)).await;
    server.forget_calls().await;
    cache.scope(of_argument(&db, 7, 1)).await;
    assert_eq!(commands(&server).await, only("mget", 1));
    // The tags of a result are known when the entry is there.
    server.forget_calls().await;
    cache.scope(of_result(&db, 1)).await;
    assert_eq!(commands(&server).await, only("mget", 2));
    assert_eq!(db.loads(), 2);
}

#[tokio::test]
async fn invalidating_a_tag_is_the_same_whatever_the_number_of_its_entries() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    let mut counts = Vec::new();
    for entries in [1, 500] {
        for id in 0..entries {
            cache.scope(of_argument(&db, 7, id)).await;
        }
        cache.invalidate_tag("org:7").await.unwrap();
        server.forget_calls().await;
        cache.invalidate_tag("org:7").await.unwrap();
        counts.push(commands(&server).await);
    }
    assert_eq!(counts[0], counts[1]);
    assert_eq!(counts[0]["evalsha"], 1);
}

/// What a server forgets, as by eviction, costs loads and never shows an old value.
#[tokio::test]
async fn versions_that_are_lost_make_misses() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    for lost in ["{cache/tags}:org:7", "{cache/tags}/f"] {
        cache.scope(of_argument(&db, 7, 1)).await;
        cache.scope(of_result(&db, 1)).await;
        let version = db.change();
        cache.invalidate_tags(["org:7", "org:0"]).await.unwrap();
        let deleted: u64 = server.query(redis::cmd("DEL").arg(lost)).await;
        assert_eq!(deleted, 1, "{lost}");
        for _ in 0..2 {
            assert_eq!(cache.scope(of_argument(&db, 7, 1)).await.version, version);
            assert_eq!(cache.scope(of_result(&db, 1)).await.version, version);
        }
        let loads = db.loads();
        cache.scope(of_argument(&db, 7, 1)).await;
        cache.scope(of_result(&db, 1)).await;
        assert_eq!(db.loads(), loads, "they are stored again without {lost}");
    }
}

/// Foreign types under the names of versions are replaced.
#[tokio::test]
async fn versions_that_are_no_numbers_make_misses() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    for name in ["{cache/tags}:org:7", "{cache/tags}/f"] {
        for poison in ["SET", "LPUSH"] {
            cache.scope(of_argument(&db, 7, 1)).await;
            let version = db.change();
            cache.invalidate_tag("org:7").await.unwrap();
            let _: u64 = server.query(redis::cmd("DEL").arg(name)).await;
            let _: redis::Value = server.query(redis::cmd(poison).arg(name).arg("x")).await;
            for _ in 0..3 {
                assert_eq!(cache.scope(of_argument(&db, 7, 1)).await.version, version);
            }
            let version = db.change();
            cache.invalidate_tag("org:7").await.unwrap();
            assert_eq!(cache.scope(of_argument(&db, 7, 1)).await.version, version);
            let loads = db.loads();
            cache.scope(of_argument(&db, 7, 1)).await;
            assert_eq!(db.loads(), loads, "{name} {poison}");
        }
    }
}

/// The server's clock was ahead when an entry was stored, and is right again after the versions were lost.
#[tokio::test]
async fn a_clock_that_was_lost_and_falls_back_makes_misses() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    let ahead = "9000000000000000";
    let () = server
        .query(
            redis::cmd("SET")
                .arg("{cache/tags}/f")
                .arg(format!("5 {ahead}")),
        )
        .await;
    cache.scope(of_argument(&db, 7, 1)).await;
    cache.scope(of_argument(&db, 7, 1)).await;
    assert_eq!(db.loads(), 1, "it is stored, from the time ahead");
    let _: u64 = server.query(redis::cmd("DEL").arg("{cache/tags}/f")).await;
    let version = db.change();
    cache.invalidate_tag("org:7").await.unwrap();
    for _ in 0..2 {
        assert_eq!(cache.scope(of_argument(&db, 7, 1)).await.version, version);
    }
    assert_eq!(db.loads(), 2, "and it is stored again");
}

/// Whoever may not read the versions is told so, and loads.
#[tokio::test]
async fn versions_that_may_not_be_read_are_errors() {
    let server = RedisServer::start().await;
    let () = server
        .query(redis::cmd("ACL").arg(&["SETUSER", "berta", "on", ">p", "~{cache:*", "&*", "+@all"]))
        .await;
    let url = server.url().replace("redis://", "redis://berta:p@");
    let cache = cache_runtime::Cache::builder().url(&url).unwrap();
    let cache = cache
        .operation_timeout(tests::PATIENCE)
        .build()
        .await
        .unwrap();
    let db = Db::open();
    cache.scope(of_argument(&db, 7, 1)).await;
    cache.scope(of_argument(&db, 7, 1)).await;
    let stats = cache.stats().function(of_argument::SPEC);
    assert!(stats.errors >= 2, "{stats:?}");
    assert!(cache.invalidate_tag("org:7").await.is_err());
}

/// A server without memory takes no values, and invalidations all the same.
#[tokio::test]
async fn a_full_server_takes_invalidations() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    cache.scope(of_argument(&db, 7, 1)).await;
    cache.scope(of_argument(&db, 8, 2)).await;
    let () = server
        .query(redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]))
        .await;
    cache.invalidate_tag("org:7").await.unwrap();
    assert_eq!(of_argument_peek(&cache, 1).await, None);
    assert!(of_argument_peek(&cache, 2).await.is_some());
    cache.bump_namespace().await.unwrap();
    assert_eq!(of_argument_peek(&cache, 2).await, None);
}

async fn of_argument_peek(cache: &cache_runtime::Cache, id: u64) -> Option<super::User> {
    cache.scope(of_argument::peek(id)).await
}
