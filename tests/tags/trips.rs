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
    for lost in ["{cache/tags}:org:7", "{cache/tags}/f", "{cache/tags}/c"] {
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
    for name in ["{cache/tags}:org:7", "{cache/tags}/f", "{cache/tags}/c"] {
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
