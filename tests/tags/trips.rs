//! What tags cost a server, counted by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use cache_runtime::Cache;
use tests::{DEADLINE, RedisServer, eventually, on_redis, within};
use tokio::task::JoinSet;

use super::{Db, User, of_argument, of_result};

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
    assert_eq!(db.loads(), 2);
}

/// The tags of a result are known when the entry is there, and their versions hold until some tag is invalidated.
#[tokio::test]
async fn tags_of_a_result_cost_a_second_round_trip_once() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    cache.scope(of_result(&db, 1)).await;
    for invalidated in ["org:7", "org:8"] {
        for trips in [2, 1, 1] {
            server.forget_calls().await;
            cache.scope(of_result(&db, 1)).await;
            assert_eq!(commands(&server).await, only("mget", trips));
        }
        cache.invalidate_tag(invalidated).await.unwrap();
    }
    assert_eq!(db.loads(), 1);
}

/// So many that most are sent together.
const CALLERS: u64 = 64;

/// Calls of many tasks, half of them of either function.
async fn at_once(cache: &Cache, db: &Arc<Db>) -> Vec<User> {
    let mut calls = JoinSet::new();
    for id in 0..CALLERS {
        let (cache, db) = (cache.clone(), db.clone());
        calls.spawn(async move {
            match id % 2 {
                0 => cache.scope(of_argument(&db, (id % 3) as u32, id)).await,
                _ => cache.scope(of_result(&db, id)).await,
            }
        });
    }
    within(calls.join_all()).await
}

async fn looked_up(server: &RedisServer) -> u64 {
    let stats: String = server.query(redis::cmd("INFO").arg("stats")).await;
    let hits = stats
        .lines()
        .find_map(|line| line.strip_prefix("keyspace_hits:"));
    hits.expect("it counts them").trim().parse().unwrap()
}

#[tokio::test]
async fn many_callers_ask_for_no_tag_while_none_is_invalidated() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    for _ in 0..10 {
        at_once(&cache, &db).await;
    }
    server.forget_calls().await;
    let before = looked_up(&server).await;
    at_once(&cache, &db).await;
    let keys = looked_up(&server).await - before;
    let trips = commands(&server).await["mget"];
    // Each command asks for the namespace's version. The few that go by themselves name the tag of their arguments.
    assert!(
        keys <= CALLERS + trips + 8,
        "{keys} keys in {trips} commands"
    );
    assert_eq!(db.loads(), CALLERS);
}

/// What a process knows of the tags it knows for the answers that show the same clock, and for no later one.
#[tokio::test]
async fn many_callers_who_know_the_tags_see_an_invalidation_by_another_process() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    let other = on_redis(&server).await;
    for round in 0..20 {
        // More or fewer, so that the versions are relied on, or only known.
        for _ in 0..round % 5 {
            at_once(&cache, &db).await;
        }
        let version = db.change();
        other
            .invalidate_tags(["org:0", "org:1", "org:2"])
            .await
            .unwrap();
        for user in at_once(&cache, &db).await {
            assert_eq!(user.version, version, "user {} in round {round}", user.id);
        }
    }
}

/// Another server may show the same clock and have another past, as after a failover.
#[tokio::test]
async fn what_is_known_of_tags_ends_with_the_connection() {
    let server = RedisServer::start().await;
    let (cache, db) = (on_redis(&server).await, Db::open());
    for _ in 0..2 {
        cache.scope(of_result(&db, 1)).await;
    }
    let () = server
        .query(redis::cmd("SET").arg(&["{cache/tags}:org:0", "9000000000000000"]))
        .await;
    let version = db.change();
    let known = cache.scope(of_result(&db, 1)).await;
    assert_eq!(known.version, 0, "the clock stands still");
    server.forget_calls().await;
    server.disconnect_clients().await;
    eventually(DEADLINE, async || {
        assert_eq!(cache.scope(of_result(&db, 1)).await.version, version);
        server.calls().await.contains_key("mget")
    })
    .await;
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
