//! How old an entry is, by the server's clock.

use std::slice;
use std::time::{Duration, Instant};

use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Ask, Backend, Encoded, Lease, LeaseMode, Stored, Token};
use redis::cmd;
use tests::{DEADLINE, RedisServer, eventually};

use super::{TTL, connect, entry, key, usable};

fn aged(stored: Option<Stored>) -> Encoded {
    match stored {
        Some(Stored::Encoded(entry)) => entry,
        other => panic!("{other:?}"),
    }
}

fn hit(lease: Lease) -> Encoded {
    match lease {
        Lease::Hit(stored) => aged(Some(stored)),
        other => panic!("{other:?}"),
    }
}

/// The server's time in milliseconds.
async fn time(server: &RedisServer) -> u64 {
    let (seconds, micros): (u64, u64) = server.query(&cmd("TIME")).await;
    seconds * 1000 + micros / 1000
}

async fn aged_at_least(server: &RedisServer, redis: &Redis, age: u64) {
    let entry = aged(redis.get(&key("k")).await.unwrap());
    let stamp = entry.stamp().unwrap();
    eventually(DEADLINE, || async { time(server).await >= stamp + age }).await;
}

#[tokio::test]
async fn an_entry_comes_with_its_age_whichever_way_it_comes() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("x"), TTL).await.unwrap();
    aged_at_least(&server, &redis, 150).await;
    let ask = Ask {
        key: key.clone(),
        tags: Default::default(),
        token: Token::fresh(),
        mode: LeaseMode::IfMissing,
    };
    let crowd: Vec<_> = (0..50).map(|_| redis.get(&key)).collect();
    let mut found = Vec::new();
    let earliest = time(&server).await;
    for get in crowd {
        found.push(aged(get.await.unwrap()));
    }
    let keys = [key.clone(), key.clone()];
    for stored in redis.get_many(&keys, &[]).await.unwrap() {
        found.push(aged(stored));
    }
    let lease = redis.lease(&key, &[], ask.token, TTL, ask.mode).await;
    found.push(hit(lease.unwrap()));
    let leases = redis.lease_many(slice::from_ref(&ask), TTL).await.unwrap();
    found.extend(leases.into_iter().map(hit));
    let latest = time(&server).await;
    assert_eq!(found.len(), 54);
    for entry in found {
        let stamp = entry.stamp().unwrap();
        assert!(entry.age >= Duration::from_millis(earliest - stamp));
        assert!(entry.age <= Duration::from_millis(latest - stamp) + DEADLINE);
    }
}

#[tokio::test]
async fn a_stamp_from_the_future_and_none_at_all_are_new() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let future = (time(&server).await + 1_000_000).to_le_bytes();
    let future = [&b"ENTRY\0\0\0"[..], &future, b"x"].concat();
    for bytes in [&future[..], b"tiny", b""] {
        let () = server.query(cmd("SET").arg("{t:k}").arg(bytes)).await;
        let entry = aged(redis.get(&key).await.unwrap());
        assert_eq!((entry.age, &entry.bytes[..]), (Duration::ZERO, bytes));
        let lease = redis.lease(&key, &[], Token::fresh(), TTL, LeaseMode::IfMissing);
        assert_eq!(hit(lease.await.unwrap()).age, Duration::ZERO);
    }
}

#[tokio::test]
async fn the_server_is_asked_for_its_time_about_once_a_second() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("x"), TTL).await.unwrap();
    server.forget_calls().await;
    let began = Instant::now();
    let times = || async { server.calls().await.get("time").copied().unwrap_or(0) };
    eventually(DEADLINE, || async {
        for _ in 0..100 {
            redis.get(&key).await.unwrap();
        }
        times().await >= 2
    })
    .await;
    let seconds = began.elapsed().as_secs();
    assert!(seconds >= 1 && times().await <= seconds + 1);
}

#[tokio::test]
async fn a_server_that_was_restarted_is_asked_anew() {
    let mut server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    server.kill();
    server.restart().await;
    usable(&redis).await;
    assert!(server.calls().await.contains_key("time"));
    redis.put(&key, entry("x"), TTL).await.unwrap();
    let entry = aged(redis.get(&key).await.unwrap());
    assert!(entry.age < DEADLINE);
}
