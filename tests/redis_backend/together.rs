//! Reads that are sent together.

use std::sync::Arc;

use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Backend, Stored};
use cache_runtime::{BackendError, BackendErrorKind, Key};
use redis::cmd;
use tests::{DEADLINE, Logs, Proxy, RedisServer, eventually, within};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;

use super::{TTL, connect, entry, granted, key, text, usable, value};

/// Far more than are sent one by one.
const CROWD: usize = 300;

type Reading = JoinHandle<Result<Option<Stored>, BackendError>>;

/// Reads `k0`, `k1`, … at once.
fn crowd(redis: &Arc<Redis>) -> Vec<Reading> {
    let read = |n| {
        let (redis, key) = (Arc::clone(redis), key(&format!("k{n}")));
        tokio::spawn(async move { redis.get(&key).await })
    };
    (0..CROWD).map(read).collect()
}

/// As [`crowd`], and returns when all of it waits for a server that does not answer.
async fn waiting_crowd(redis: &Arc<Redis>) -> Vec<Reading> {
    let reading = crowd(redis);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(reading.iter().all(|reading| !reading.is_finished()));
    reading
}

async fn all_unavailable(reading: Vec<Reading>) {
    for reading in reading {
        let error = within(reading).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), BackendErrorKind::Unavailable, "{error}");
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Stores every second key of the crowd, and under `k1` what is no value.
async fn fill_in(server: &RedisServer, redis: &Redis) {
    for n in (0..CROWD).step_by(2) {
        let key = key(&format!("k{n}"));
        redis.put(&key, entry(&n.to_string()), TTL).await.unwrap();
    }
    let _: u64 = server.query(cmd("RPUSH").arg("{t:k1}").arg("list")).await;
}

async fn each_gets_its_own(reading: Vec<Reading>) {
    for (n, reading) in reading.into_iter().enumerate() {
        let found = within(reading).await.unwrap().unwrap();
        let expected = (n % 2 == 0).then(|| n.to_string());
        assert_eq!(found.as_ref().map(text), expected);
    }
}

#[tokio::test]
async fn many_reads_at_once_are_sent_together_and_each_gets_its_own() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    fill_in(&server, &redis).await;
    server.forget_calls().await;
    each_gets_its_own(crowd(&redis)).await;
    let calls = server.calls().await;
    let count = |name| calls.get(name).copied().unwrap_or(0);
    assert!((1..30).contains(&count("mget")), "{calls:?}");
    assert_eq!(count("get"), 0, "{calls:?}");
    // And one after another they go by themselves again.
    server.forget_calls().await;
    assert_eq!(value(&redis, &key("k2")).await.as_deref(), Some("2"));
    assert_eq!(server.calls().await.get("mget"), Some(&1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crowds_on_two_threads_get_what_is_theirs() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    fill_in(&server, &redis).await;
    for _ in 0..20 {
        each_gets_its_own(crowd(&redis)).await;
    }
}

#[tokio::test]
async fn readers_that_give_up_do_not_hold_back_the_others() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    fill_in(&server, &redis).await;
    server.pause();
    let reading = waiting_crowd(&redis).await;
    for reading in reading.iter().skip(CROWD / 2) {
        reading.abort();
    }
    let staying = reading.into_iter().take(CROWD / 2).collect();
    server.resume();
    each_gets_its_own(staying).await;
}

#[tokio::test]
async fn a_lost_connection_fails_all_readers() {
    let mut server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    server.pause();
    let reading = waiting_crowd(&redis).await;
    server.kill();
    all_unavailable(reading).await;
    server.restart().await;
    usable(&redis).await;
    for reading in crowd(&redis) {
        assert!(within(reading).await.unwrap().unwrap().is_none());
    }
}

#[tokio::test]
async fn readers_whose_backend_lost_its_runtime_fail_and_do_not_hang() {
    let server = RedisServer::start().await;
    let proxy = Proxy::before(&server).await;
    let other = Builder::new_multi_thread().enable_all().build().unwrap();
    let url = proxy.url();
    let redis = other
        .spawn(async move { connect(&url).await })
        .await
        .unwrap();
    proxy.hang();
    let reading = waiting_crowd(&redis).await;
    other.shutdown_background();
    all_unavailable(reading).await;
    all_unavailable(crowd(&redis)).await;
}

#[tokio::test]
async fn what_nobody_waits_for_does_not_keep_a_dropped_backend() {
    let server = RedisServer::start().await;
    let before = tasks();
    let redis = connect(&server.url()).await;
    server.pause();
    for reading in waiting_crowd(&redis).await {
        reading.abort();
    }
    drop(redis);
    eventually(DEADLINE, || async { tasks() <= before }).await;
    server.resume();
}

#[tokio::test]
async fn a_user_without_mget_reads_one_by_one() {
    let server = RedisServer::start().await;
    let logs = Logs::capture();
    let () = server
        .query(cmd("ACL").arg(&[
            "SETUSER",
            "berta",
            "on",
            ">pw",
            "~{t:*",
            "~{t/tags}*",
            "&*",
            "+@all",
            "-mget",
        ]))
        .await;
    let redis = connect(&server.url().replace("redis://", "redis://berta:pw@")).await;
    fill_in(&server, &redis).await;
    each_gets_its_own(crowd(&redis)).await;
    each_gets_its_own(crowd(&redis)).await;
    assert_eq!(logs.count("refuses MGET"), 1, "{}", logs.text());
    assert!(!logs.text().contains("berta"), "{}", logs.text());
    let keys: Vec<Key> = (0..3).map(|n| key(&format!("k{n}"))).collect();
    let found = redis.get_many(&keys, &[]).await.unwrap();
    assert_eq!(
        found.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, true]
    );
    granted(&redis, &key("k1")).await;
}

#[tokio::test]
async fn large_values_are_not_put_into_one_answer() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    let large = "x".repeat(100_000);
    for n in 0..20 {
        let key = key(&format!("k{n}"));
        redis.put(&key, entry(&large), TTL).await.unwrap();
    }
    let keys: Vec<Key> = (0..20).map(|n| key(&format!("k{n}"))).collect();
    for round in 0..2 {
        server.forget_calls().await;
        let found = redis.get_many(&keys, &[]).await.unwrap();
        assert!(found.iter().flatten().all(|found| text(found) == large));
        // What is known of their length after the first round.
        let parts = if round == 0 { 1 } else { 5 };
        assert_eq!(server.calls().await.get("mget"), Some(&parts));
    }
}
