//! The Redis backend against real servers: its operations, and what it does when the server goes, hangs, comes back or holds garbage.

#[path = "redis_backend/age.rs"]
mod age;
#[path = "redis_backend/log.rs"]
mod log;
#[path = "redis_backend/many.rs"]
mod many;
#[path = "redis_backend/together.rs"]
mod together;

use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Backend, Encoded, Lease, LeaseMode, Stored, Token, WriteEnd};
use cache_runtime::{BackendErrorKind, Key};
use redis::cmd;
use tests::{DEADLINE, Logs, RedisServer, eventually, within};

const TTL: Duration = Duration::from_secs(60);
/// A lease that ends soon by itself.
const SHORT: Duration = Duration::from_millis(60);

async fn connect(url: &str) -> Arc<Redis> {
    Arc::new(
        Redis::from_url(url)
            .unwrap()
            .namespace("t")
            .connect()
            .await
            .unwrap(),
    )
}

fn key(text: &str) -> Key {
    Key::from(text)
}

/// An entry as the cache writes it: 16 bytes of header, the middle of which is the server's to stamp.
fn entry(text: &str) -> Stored {
    Stored::Encoded(Encoded::new(
        [b"ENTRY\0\0\0????????", text.as_bytes()].concat().into(),
    ))
}

fn text(stored: &Stored) -> String {
    let Stored::Encoded(Encoded { bytes, .. }) = stored else {
        panic!("Redis gives bytes")
    };
    String::from_utf8(bytes[16..].to_vec()).unwrap()
}

async fn value(redis: &Redis, key: &Key) -> Option<String> {
    redis.get(key).await.unwrap().as_ref().map(text)
}

/// Asks for a lease and says what came of it.
async fn lease(redis: &Redis, key: &Key) -> (Token, Lease) {
    let token = Token::fresh();
    (
        token,
        redis
            .lease(key, &[], token, TTL, LeaseMode::IfMissing)
            .await
            .unwrap(),
    )
}

async fn granted(redis: &Redis, key: &Key) -> Token {
    let (token, lease) = lease(redis, key).await;
    assert!(matches!(lease, Lease::Granted(_)), "{lease:?}");
    token
}

async fn bypass(redis: &Redis, key: &Key) -> Token {
    match lease(redis, key).await.1 {
        Lease::Bypass(generation, _) => generation,
        other => panic!("{other:?}"),
    }
}

async fn is_bypassed(redis: &Redis, key: &Key) -> bool {
    matches!(lease(redis, key).await.1, Lease::Bypass(_, _))
}

async fn usable(redis: &Redis) {
    eventually(DEADLINE, || async { redis.ping().await.is_ok() }).await;
}

async fn subscribers(server: &RedisServer, channel: &str) -> u64 {
    let (_, count): (String, u64) = server.query(cmd("PUBSUB").arg("NUMSUB").arg(channel)).await;
    count
}

#[tokio::test]
async fn a_load_is_leased_filled_and_hit() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("user:1"));
    assert_eq!(value(&redis, &key).await, None);
    let token = granted(&redis, &key).await;
    assert!(matches!(lease(&redis, &key).await.1, Lease::Busy(holder, _) if holder == token));
    assert!(
        !redis
            .fill(&key, Token::fresh(), entry("other"), TTL)
            .await
            .unwrap()
    );
    assert!(redis.fill(&key, token, entry("anna"), TTL).await.unwrap());
    assert!(!redis.fill(&key, token, entry("again"), TTL).await.unwrap());
    assert_eq!(value(&redis, &key).await.as_deref(), Some("anna"));
    assert!(matches!(lease(&redis, &key).await.1, Lease::Hit(stored) if text(&stored) == "anna"));
    let refresh = redis
        .lease(&key, &[], Token::fresh(), TTL, LeaseMode::Refresh)
        .await
        .unwrap();
    assert!(matches!(refresh, Lease::Granted(_)));
}

#[tokio::test]
async fn the_server_stamps_its_time_into_the_entry_and_changes_nothing_else() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("x"), TTL).await.unwrap();
    let Some(Stored::Encoded(Encoded { bytes, .. })) = redis.get(&key).await.unwrap() else {
        panic!("stored")
    };
    let (seconds, micros): (u64, u64) = server.query(&cmd("TIME")).await;
    let stamp = u64::from_le_bytes(bytes[8..16].try_into().unwrap());
    assert!((seconds * 1000 + micros / 1000).abs_diff(stamp) < DEADLINE.as_millis() as u64);
    assert_eq!(
        (&bytes[..8], &bytes[16..]),
        (&b"ENTRY\0\0\0"[..], &b"x"[..])
    );
    redis
        .put(&key, Stored::Encoded(Encoded::new("tiny".into())), TTL)
        .await
        .unwrap();
    assert!(
        matches!(redis.get(&key).await.unwrap(), Some(Stored::Encoded(entry)) if entry.bytes == "tiny")
    );
}

#[tokio::test]
async fn a_hit_is_one_read_and_no_script() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("x"), TTL).await.unwrap();
    server.forget_calls().await;
    assert!(redis.get(&key).await.unwrap().is_some());
    let calls = server.calls().await;
    assert_eq!(calls.get("mget"), Some(&1));
    assert!(
        !calls.contains_key("eval") && !calls.contains_key("evalsha"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn values_leases_and_states_expire_by_the_servers_clock() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("x"), SHORT).await.unwrap();
    eventually(DEADLINE, || async { value(&redis, &key).await.is_none() }).await;

    let token = Token::fresh();
    assert!(matches!(
        redis
            .lease(&key, &[], token, SHORT, LeaseMode::IfMissing)
            .await
            .unwrap(),
        Lease::Granted(_)
    ));
    assert!(redis.renew(&key, token, TTL).await.unwrap());
    let left: i64 = server.query(cmd("PTTL").arg("{t:k}/s")).await;
    assert!(
        left > SHORT.as_millis() as i64,
        "a renewed lease keeps its state: {left}"
    );
    assert!(redis.renew(&key, token, SHORT).await.unwrap());
    eventually(DEADLINE, || async {
        matches!(lease(&redis, &key).await.1, Lease::Granted(_))
    })
    .await;
    assert!(!redis.renew(&key, token, TTL).await.unwrap());
    assert!(!redis.fill(&key, token, entry("late"), TTL).await.unwrap());
}

#[tokio::test]
async fn nothing_stays_of_a_lease_that_was_filled_or_released() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let token = granted(&redis, &key).await;
    redis.release(&key, Token::fresh()).await.unwrap();
    assert!(
        redis.renew(&key, token, TTL).await.unwrap(),
        "another's release changes nothing"
    );
    redis.release(&key, token).await.unwrap();
    assert_eq!(server.entries().await.len(), 0);
    let token = granted(&redis, &key).await;
    redis.fill(&key, token, entry("x"), TTL).await.unwrap();
    assert_eq!(server.entries().await, ["{t:k}"]);
}

#[tokio::test]
async fn a_fill_from_before_an_invalidation_is_refused() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    let keys: Vec<Key> = (0..2500).map(|n| key(&format!("k{n}"))).collect();
    let early = granted(&redis, &keys[0]).await;
    redis.put(&keys[1], entry("x"), TTL).await.unwrap();
    redis.put(&keys[2499], entry("x"), TTL).await.unwrap();
    let () = server.query(cmd("SCRIPT").arg("FLUSH")).await;
    redis.invalidate(&keys).await.unwrap();
    assert!(
        !redis
            .fill(&keys[0], early, entry("stale"), TTL)
            .await
            .unwrap()
    );
    assert_eq!(server.entries().await.len(), 0);
    redis.invalidate(&[]).await.unwrap();
    let early = granted(&redis, &keys[0]).await;
    redis.invalidate(&keys[..1]).await.unwrap();
    assert!(
        !redis
            .fill(&keys[0], early, entry("stale"), TTL)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_write_in_progress_is_bypassed_under_an_ever_new_generation() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("old"), TTL).await.unwrap();
    let loading = Token::fresh();
    redis
        .lease(&key, &[], loading, TTL, LeaseMode::Refresh)
        .await
        .unwrap();
    let (one, two) = (Token::fresh(), Token::fresh());
    redis.begin_write(&key, one, TTL).await.unwrap();
    assert_eq!(value(&redis, &key).await, None);
    assert!(
        !redis
            .fill(&key, loading, entry("stale"), TTL)
            .await
            .unwrap()
    );
    assert!(!redis.put(&key, entry("stale"), TTL).await.unwrap());
    let first = bypass(&redis, &key).await;
    assert_eq!(bypass(&redis, &key).await, first);
    redis.begin_write(&key, two, TTL).await.unwrap();
    let second = bypass(&redis, &key).await;
    assert_eq!(
        redis.end_write(&key, two, None).await.unwrap(),
        WriteEnd::Overlapped
    );
    let third = bypass(&redis, &key).await;
    assert!(first != second && second != third && first != third);
    assert_eq!(
        redis
            .end_write(&key, one, Some((entry("one"), TTL)))
            .await
            .unwrap(),
        WriteEnd::Overlapped
    );
    assert_eq!(server.entries().await.len(), 0);
}

#[tokio::test]
async fn a_lone_write_stores_its_value_and_an_expired_one_does_not() {
    let server = RedisServer::start().await;
    let (redis, key, token) = (connect(&server.url()).await, key("k"), Token::fresh());
    redis.begin_write(&key, token, TTL).await.unwrap();
    redis.begin_write(&key, token, TTL).await.unwrap(); // sent again
    assert_eq!(
        redis
            .end_write(&key, token, Some((entry("new"), TTL)))
            .await
            .unwrap(),
        WriteEnd::Clean
    );
    assert_eq!(value(&redis, &key).await.as_deref(), Some("new"));

    redis.begin_write(&key, token, SHORT).await.unwrap();
    assert!(redis.renew_write(&key, token, SHORT).await.unwrap());
    eventually(DEADLINE, || async { !is_bypassed(&redis, &key).await }).await;
    assert!(!redis.renew_write(&key, token, TTL).await.unwrap());
    redis.put(&key, entry("between"), TTL).await.unwrap();
    assert_eq!(
        redis
            .end_write(&key, token, Some((entry("late"), TTL)))
            .await
            .unwrap(),
        WriteEnd::Overlapped
    );
    assert_eq!(value(&redis, &key).await, None);
}

#[tokio::test]
async fn a_write_that_was_taken_for_dead_overlaps_the_one_after_it() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let (stalled, other) = (Token::fresh(), Token::fresh());
    redis.begin_write(&key, stalled, SHORT).await.unwrap();
    eventually(DEADLINE, || async { !is_bypassed(&redis, &key).await }).await;
    redis.begin_write(&key, other, TTL).await.unwrap();
    redis.end_write(&key, stalled, None).await.unwrap();
    assert_eq!(
        redis
            .end_write(&key, other, Some((entry("older?"), TTL)))
            .await
            .unwrap(),
        WriteEnd::Overlapped
    );
    assert_eq!(value(&redis, &key).await, None);
}

#[tokio::test]
async fn an_invalidation_during_a_write_keeps_its_value_out() {
    let server = RedisServer::start().await;
    let (redis, keys, token) = (connect(&server.url()).await, [key("k")], Token::fresh());
    redis.begin_write(&keys[0], token, TTL).await.unwrap();
    redis.invalidate(&keys).await.unwrap();
    redis
        .end_write(&keys[0], token, Some((entry("from before"), TTL)))
        .await
        .unwrap();
    assert_eq!(value(&redis, &keys[0]).await, None);
}

#[tokio::test]
async fn the_newest_version_wins_and_the_fence_outlives_value_invalidation_and_clear() {
    let server = RedisServer::start().await;
    let (redis, keys) = (connect(&server.url()).await, [key("k")]);
    let newest = u64::MAX - 1;
    for (version, stored) in [
        (9, true),
        (10, true),
        (9, false),
        (10, false),
        (newest - 1, true),
        (newest, true),
        (newest - 1, false),
    ] {
        let new = redis
            .put_if_newer(&keys[0], version, entry(&version.to_string()), TTL)
            .await
            .unwrap();
        assert_eq!(new, stored, "{version}");
    }
    assert_eq!(value(&redis, &keys[0]).await, Some(newest.to_string()));
    let left: i64 = server.query(cmd("PTTL").arg("{t:k}/s")).await;
    assert!(left > 24 * 60 * 60 * 1000, "{left}");
    let put = async |version: u64| {
        let entry = entry(&version.to_string());
        redis.put_if_newer(&keys[0], version, entry, TTL).await
    };
    redis.invalidate(&keys).await.unwrap();
    assert!(!put(newest).await.unwrap());
    assert_eq!(value(&redis, &keys[0]).await, None);
    assert!(put(u64::MAX).await.unwrap());
    redis.clear().await.unwrap();
    assert!(!put(newest).await.unwrap());
    assert_eq!(value(&redis, &keys[0]).await, None);
}

#[tokio::test]
async fn clear_takes_the_namespace_and_nothing_else() {
    let server = RedisServer::start().await;
    let (ours, globs) = (connect(&server.url()).await, "t*[a-z]?\\");
    let other = Redis::from_url(&server.url())
        .unwrap()
        .namespace(globs)
        .connect()
        .await
        .unwrap();
    let () = server.query(cmd("SET").arg("{t").arg("not ours")).await;
    for n in 0..2100 {
        ours.put(&key(&format!("k{n}")), entry("x"), TTL)
            .await
            .unwrap();
    }
    other.put(&key("k"), entry("x"), TTL).await.unwrap();
    let loading = granted(&ours, &key("loading")).await;
    other.clear().await.unwrap();
    assert_eq!(server.entries().await.len(), 2102);
    other.put(&key("k"), entry("x"), TTL).await.unwrap();
    ours.clear().await.unwrap();
    assert!(
        !ours
            .fill(&key("loading"), loading, entry("stale"), TTL)
            .await
            .unwrap()
    );
    assert_eq!(server.entries().await.len(), 2);
}

#[tokio::test]
async fn a_poisoned_server_costs_misses_and_never_errors() {
    let server = RedisServer::start().await;
    let (redis, keys) = (connect(&server.url()).await, [key("k")]);
    let key = &keys[0];
    let poison = || async {
        let () = server.query(&cmd("FLUSHALL")).await;
        let _: u64 = server.query(cmd("RPUSH").arg("{t:k}").arg("list")).await;
        let _: u64 = server.query(cmd("SADD").arg("{t:k}/s").arg("set")).await;
    };
    poison().await;
    assert_eq!(value(&redis, key).await, None);
    let token = granted(&redis, key).await;
    assert!(redis.fill(key, token, entry("x"), TTL).await.unwrap());
    assert_eq!(value(&redis, key).await.as_deref(), Some("x"));
    for operation in 0..9 {
        poison().await;
        match operation {
            0 => redis.invalidate(&keys).await.unwrap(),
            1 => assert!(redis.put(key, entry("x"), TTL).await.unwrap()),
            2 => drop(redis.begin_write(key, token, TTL).await.unwrap()),
            3 => assert_eq!(
                redis.end_write(key, token, None).await.unwrap(),
                WriteEnd::Overlapped
            ),
            4 => assert!(redis.put_if_newer(key, 1, entry("x"), TTL).await.unwrap()),
            5 => redis.release(key, token).await.unwrap(),
            6 => assert!(!redis.renew(key, token, TTL).await.unwrap()),
            7 => redis.wait(key, token, DEADLINE).await.unwrap(),
            _ => redis.clear().await.unwrap(),
        }
    }
    // A hash, but not one of ours: no field of it means anything, least of all an endless lease.
    let () = server.query(&cmd("FLUSHALL")).await;
    let hash = [
        "l",
        "zz",
        "x",
        "inf",
        "g",
        "?",
        "f",
        "x",
        "i:a",
        "99999999999999:0",
        "i:b",
        "",
        "w",
        "1",
    ];
    let _: u64 = server.query(cmd("HSET").arg("{t:k}/s").arg(&hash)).await;
    let token = granted(&redis, key).await;
    assert!(redis.put_if_newer(key, 0, entry("x"), TTL).await.unwrap());
    assert!(!redis.renew(key, token, TTL).await.unwrap());
    let left: i64 = server.query(cmd("PTTL").arg("{t:k}/s")).await;
    assert!(left > 0, "garbage does not stay for ever");
}

#[tokio::test]
async fn scripts_survive_script_flush() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    for _ in 0..3 {
        let () = server.query(cmd("SCRIPT").arg("FLUSH")).await;
        let token = granted(&redis, &key).await;
        let () = server.query(cmd("SCRIPT").arg("FLUSH")).await;
        assert!(redis.fill(&key, token, entry("x"), TTL).await.unwrap());
        let () = server.query(cmd("SCRIPT").arg("FLUSH")).await;
        redis
            .invalidate(&[key.clone(), Key::from("other")])
            .await
            .unwrap();
    }
    let token = granted(&redis, &key).await;
    redis.release(&key, token).await.unwrap();
    server.forget_calls().await;
    granted(&redis, &key).await;
    let calls = server.calls().await;
    assert!(
        calls.contains_key("evalsha") && !calls.contains_key("eval"),
        "known scripts go by their hash: {calls:?}"
    );
}

/// Whether the state says that somebody waits for the end of its lease.
async fn is_waited_for(server: &RedisServer, state: &str) -> bool {
    let mut look = cmd("EVAL");
    look.arg("if redis.call('TYPE', KEYS[1]).ok == 'hash' then return redis.call('HEXISTS', KEYS[1], 'w') end return redis.call('STRLEN', KEYS[1]) - 32");
    server.query::<i64>(look.arg(1).arg(state)).await == 1
}

#[tokio::test]
async fn a_fill_ends_the_wait_of_another_process() {
    let server = RedisServer::start().await;
    let (holder, waiter, key) = (
        connect(&server.url()).await,
        connect(&server.url()).await,
        key("k"),
    );
    for round in 0..6 {
        let token = granted(&holder, &key).await;
        let waiting = tokio::spawn({
            let (waiter, key) = (Arc::clone(&waiter), key.clone());
            async move { waiter.wait(&key, token, TTL).await }
        });
        eventually(DEADLINE, || async {
            is_waited_for(&server, "{t:k}/s").await
        })
        .await;
        match round {
            0 => assert!(holder.fill(&key, token, entry("x"), TTL).await.unwrap()),
            1 => holder.release(&key, token).await.unwrap(),
            2 => assert!(holder.put(&key, entry("x"), TTL).await.unwrap()),
            3 => drop(
                holder
                    .begin_write(&key, Token::fresh(), SHORT)
                    .await
                    .unwrap(),
            ),
            4 => assert!(holder.put_if_newer(&key, 1, entry("x"), TTL).await.unwrap()),
            _ => holder.clear().await.unwrap(),
        }
        within(waiting).await.unwrap().unwrap();
        eventually(DEADLINE, || async {
            holder.invalidate(slice::from_ref(&key)).await.unwrap();
            let (token, lease) = lease(&holder, &key).await;
            holder.release(&key, token).await.unwrap();
            matches!(lease, Lease::Granted(_))
        })
        .await;
    }
}

#[tokio::test]
async fn a_wait_for_a_lease_that_does_not_stand_returns_at_once() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    within(redis.wait(&key, Token::fresh(), TTL)).await.unwrap();
    granted(&redis, &key).await;
    within(redis.wait(&key, Token::fresh(), TTL)).await.unwrap();
}

#[tokio::test]
async fn a_wait_ends_with_its_patience_and_with_the_lease() {
    let server = RedisServer::start().await;
    let (redis, key, token) = (connect(&server.url()).await, key("k"), Token::fresh());
    redis
        .lease(&key, &[], token, TTL, LeaseMode::IfMissing)
        .await
        .unwrap();
    within(redis.wait(&key, token, SHORT)).await.unwrap();
    assert!(redis.renew(&key, token, SHORT).await.unwrap());
    within(redis.wait(&key, token, TTL)).await.unwrap();
    granted(&redis, &key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiters_of_one_key_share_one_subscription_and_all_wake() {
    let server = RedisServer::start().await;
    let (holder, waiter, key) = (
        connect(&server.url()).await,
        connect(&server.url()).await,
        key("k"),
    );
    server.forget_calls().await;
    let token = granted(&holder, &key).await;
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let (waiter, key) = (Arc::clone(&waiter), key.clone());
            tokio::spawn(async move { waiter.wait(&key, token, TTL).await })
        })
        .collect();
    eventually(DEADLINE, || async {
        // One for the lease, one for each check.
        let calls = server.calls().await;
        calls.get("evalsha").copied().unwrap_or(0) >= 1001
    })
    .await;
    assert_eq!(subscribers(&server, "{t:k}/w").await, 1);
    assert!(holder.fill(&key, token, entry("x"), TTL).await.unwrap());
    for waiting in waiting {
        within(waiting).await.unwrap().unwrap();
    }
    assert_eq!(server.calls().await.get("subscribe"), Some(&1));
    eventually(DEADLINE, || async {
        subscribers(&server, "{t:k}/w").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wakeup_is_missed_while_waiters_come_go_and_give_up() {
    let server = RedisServer::start().await;
    let (holder, waiter, key) = (
        connect(&server.url()).await,
        connect(&server.url()).await,
        key("k"),
    );
    for round in 0..300 {
        let token = granted(&holder, &key).await;
        let waits: Vec<_> = (0..3)
            .map(|_| {
                let (waiter, key) = (Arc::clone(&waiter), key.clone());
                tokio::spawn(async move { waiter.wait(&key, token, TTL * 10).await })
            })
            .collect();
        // Given up somewhere on its way: before, while or after it subscribes.
        let _ = tokio::time::timeout(
            Duration::from_micros(round % 10 * 100),
            waiter.wait(&key, token, TTL * 10),
        )
        .await;
        holder.release(&key, token).await.unwrap();
        for wait in waits {
            within(wait).await.unwrap().unwrap();
        }
    }
    eventually(DEADLINE, || async {
        subscribers(&server, "{t:k}/w").await == 0
    })
    .await;
}

#[tokio::test]
async fn a_user_without_channels_waits_by_polling() {
    let server = RedisServer::start().await;
    let logs = Logs::capture();
    let () = server
        .query(cmd("ACL").arg(&[
            "SETUSER",
            "poll",
            "on",
            ">pw",
            "~{t:*",
            "~{t/tags}*",
            "resetchannels",
            "+@all",
        ]))
        .await;
    let url = server.url().replace("redis://", "redis://poll:pw@");
    let (holder, waiter, key) = (connect(&url).await, connect(&url).await, key("k"));
    let token = granted(&holder, &key).await;
    let waiting = tokio::spawn({
        let (waiter, key) = (Arc::clone(&waiter), key.clone());
        async move {
            while matches!(lease(&waiter, &key).await.1, Lease::Busy(_, _)) {
                waiter.wait(&key, token, TTL).await.unwrap();
            }
        }
    });
    eventually(DEADLINE, || async { logs.count("by polling") == 1 }).await;
    assert!(holder.fill(&key, token, entry("x"), TTL).await.unwrap());
    within(waiting).await.unwrap();
}

#[tokio::test]
async fn a_cut_connection_is_noticed_and_made_again_at_once() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("x"), TTL).await.unwrap();
    for _ in 0..5 {
        server.disconnect_clients().await;
        let start = Instant::now();
        eventually(Duration::from_secs(1), || async {
            redis.get(&key).await.is_ok_and(|hit| hit.is_some())
        })
        .await;
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_wait_ends_when_the_connection_is_lost() {
    let mut server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let token = granted(&redis, &key).await;
    let waiting = tokio::spawn({
        let (redis, key) = (Arc::clone(&redis), key.clone());
        async move { redis.wait(&key, token, TTL).await }
    });
    eventually(DEADLINE, || async {
        subscribers(&server, "{t:k}/w").await == 1
    })
    .await;
    server.kill();
    let _ = within(waiting).await.unwrap();
    // And a connection made again serves those who come then.
    server.restart().await;
    usable(&redis).await;
    let token = granted(&redis, &key).await;
    let waiting = tokio::spawn({
        let (redis, key) = (Arc::clone(&redis), key.clone());
        async move { redis.wait(&key, token, TTL).await }
    });
    eventually(DEADLINE, || async {
        is_waited_for(&server, "{t:k}/s").await
    })
    .await;
    redis.release(&key, token).await.unwrap();
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_killed_server_fails_operations_at_once_and_is_used_again_within_a_second() {
    let mut server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("x"), TTL).await.unwrap();
    server.kill();
    let error = loop {
        // The connection's end may be on its way still.
        if let Err(error) = within(redis.get(&key)).await {
            break error;
        }
    };
    assert_eq!(error.kind(), BackendErrorKind::Unavailable);
    assert_eq!(
        within(redis.invalidate(slice::from_ref(&key)))
            .await
            .unwrap_err()
            .kind(),
        BackendErrorKind::Unavailable
    );
    assert_eq!(
        within(redis.wait(&key, Token::fresh(), TTL))
            .await
            .unwrap_err()
            .kind(),
        BackendErrorKind::Unavailable
    );
    server.restart().await;
    let start = Instant::now();
    usable(&redis).await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(value(&redis, &key).await, None);
    granted(&redis, &key).await;
}

#[tokio::test]
async fn a_hung_server_is_used_again_when_it_goes_on() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("x"), TTL).await.unwrap();
    server.pause();
    assert!(tokio::time::timeout(SHORT, redis.get(&key)).await.is_err());
    server.resume();
    assert_eq!(within(value(&redis, &key)).await.as_deref(), Some("x"));
}

#[tokio::test]
async fn a_start_without_the_server_says_so_once_and_works_when_it_comes() {
    let mut server = RedisServer::start().await;
    let url = server.url();
    server.kill();
    let logs = Logs::capture();
    let redis = connect(&url).await;
    assert_eq!(
        redis.ping().await.unwrap_err().kind(),
        BackendErrorKind::Unavailable
    );
    server.restart().await;
    usable(&redis).await;
    assert_eq!(logs.count("WARN"), 1, "{}", logs.text());
}

#[tokio::test]
async fn a_dropped_backend_stops_to_reconnect() {
    let mut server = RedisServer::start().await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    eventually(DEADLINE, || async { tasks() == 0 }).await;
    let redis = connect(&server.url()).await;
    server.kill();
    // Until it has tried, and failed.
    eventually(DEADLINE, || async {
        redis
            .ping()
            .await
            .is_err_and(|error| error.to_string().contains("refused"))
    })
    .await;
    assert!(tasks() > 0, "it tries to reconnect");
    drop(redis);
    eventually(DEADLINE, || async { tasks() == 0 }).await;
}

#[tokio::test]
async fn passwords_users_databases_and_sockets_work() {
    let server = RedisServer::builder().password("p@ss").start().await;
    let url = server.url();
    let redis = connect(&format!("{url}3")).await;
    redis.put(&key("k"), entry("x"), TTL).await.unwrap();
    let other = connect(&url).await;
    assert_eq!(value(&other, &key("k")).await, None);
    let socket = format!("unix://{}?db=3&pass=p%40ss", server.socket().display());
    let by_socket = connect(&socket).await;
    assert_eq!(value(&by_socket, &key("k")).await.as_deref(), Some("x"));

    let server = RedisServer::builder().user("anna", "hunter2").start().await;
    let redis = connect(&server.url()).await;
    redis.put(&key("k"), entry("x"), TTL).await.unwrap();
    assert_eq!(value(&redis, &key("k")).await.as_deref(), Some("x"));
}

#[tokio::test]
async fn tls_trusts_the_given_authority_and_no_other() {
    let server = RedisServer::builder().tls().start().await;
    let authority = std::fs::read(&server.certificate().authority).unwrap();
    let redis = Redis::from_url(&server.tls_url())
        .unwrap()
        .tls_root_ca(authority)
        .connect()
        .await
        .unwrap();
    redis.ping().await.unwrap();
    let distrustful = Redis::from_url(&server.tls_url())
        .unwrap()
        .connect()
        .await
        .unwrap();
    assert_eq!(
        distrustful.ping().await.unwrap_err().kind(),
        BackendErrorKind::Unavailable
    );
    let error = Redis::from_url(&server.tls_url())
        .unwrap()
        .tls_root_ca("no PEM")
        .connect()
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("root CA"), "{error}");
    let error = Redis::from_url(&server.url())
        .unwrap()
        .tls_root_ca("x")
        .connect()
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("root CA"), "{error}");
}

#[tokio::test]
async fn a_refused_login_is_said_once_and_no_secret_ever() {
    let server = RedisServer::builder().user("anna", "right").start().await;
    let logs = Logs::capture();
    let url = server
        .url()
        .replace("right", "hunter2")
        .replace("anna", "berta");
    let builder = Redis::from_url(&url).unwrap();
    let mut said = format!("{builder:?}");
    let redis = builder.connect().await.unwrap();
    for _ in 0..20 {
        let error = redis.ping().await.unwrap_err();
        assert_eq!(error.kind(), BackendErrorKind::Unavailable);
        said.push_str(&format!("{error} {error:?} {redis:?}"));
        tokio::task::yield_now().await;
    }
    assert!(said.contains("refused user or password"), "{said}");
    assert_eq!(logs.count("ERROR"), 1, "{}", logs.text());
    said.push_str(
        &logs
            .text()
            .lines()
            .filter(|line| line.contains("cache_runtime"))
            .collect::<String>(),
    );
    assert!(
        !said.contains("hunter2") && !said.contains("berta"),
        "{said}"
    );
}

#[tokio::test]
async fn a_command_that_is_not_allowed_is_rejected_without_the_users_name() {
    let server = RedisServer::start().await;
    let () = server
        .query(cmd("ACL").arg(&[
            "SETUSER", "berta", "on", ">hunter2", "~*", "&*", "+@all", "-get", "-mget",
        ]))
        .await;
    let redis = connect(&server.url().replace("redis://", "redis://berta:hunter2@")).await;
    let error = redis.get(&key("k")).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Rejected);
    assert!(!error.to_string().contains("berta"), "{error}");
}

#[tokio::test]
async fn a_full_server_refuses_and_leaves_no_old_value() {
    let server = RedisServer::start().await;
    let (redis, keys) = (connect(&server.url()).await, [key("k")]);
    redis.put(&keys[0], entry("old"), TTL).await.unwrap();
    let () = server
        .query(cmd("CONFIG").arg(&["SET", "maxmemory", "1"]))
        .await;
    let error = redis.put(&keys[0], entry("new"), TTL).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Rejected);
    assert_eq!(value(&redis, &keys[0]).await, None);
    redis.invalidate(&keys).await.unwrap();
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_unavailable_for_writes() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    redis.put(&key, entry("x"), TTL).await.unwrap();
    let () = server
        .query(cmd("REPLICAOF").arg("127.0.0.1").arg("1"))
        .await;
    let error = redis.put(&key, entry("new"), TTL).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Unavailable);
    let () = server.query(cmd("REPLICAOF").arg("NO").arg("ONE")).await;
    eventually(DEADLINE, || async {
        redis.put(&key, entry("new"), TTL).await.is_ok()
    })
    .await;
}
