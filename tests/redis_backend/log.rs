//! The write log: what is special to Redis. What every log does is in the conformance suite.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::backend::log::{
    Append, Appended, Begun, Burial, Done, LoggedWrite, PARTITIONS, Payload, Revival, WriteLog,
    partition_of,
};
use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Ask, Backend, Lease, LeaseMode, Token};
use cache_runtime::{BackendErrorKind, Key};
use redis::{Value, cmd};
use tests::{DEADLINE, Proxy, RedisServer, eventually, within};

use super::{TTL, connect, entry, granted, key, lease, text, usable, value};

const FUNCTION: &str = "shop::save_user";

fn log(redis: &Redis) -> &dyn WriteLog {
    redis.write_log().unwrap()
}

fn write(key: &Key) -> Append {
    Append {
        key: key.clone(),
        function: FUNCTION.to_owned(),
        payload: Payload::Encoded("arguments".into()),
        value: None,
        max_pending: 1_000_000,
    }
}

fn valued(key: &Key, text: &str) -> Append {
    Append {
        value: Some((entry(text), TTL)),
        ..write(key)
    }
}

async fn logged(redis: &Redis, write: Append) -> u64 {
    match log(redis).append(write).await.unwrap() {
        Appended::Logged(sequence) => sequence,
        full @ Appended::Full { .. } => panic!("{full:?}"),
    }
}

/// The pending writes of the key's partition.
async fn pending(redis: &Redis, key: &Key) -> Vec<LoggedWrite> {
    let mut writes: Vec<LoggedWrite> = Vec::new();
    loop {
        let after = writes.last().map_or(0, |write| write.sequence);
        let page = log(redis).read(partition_of(key), after, 10_000).await;
        let page = page.unwrap();
        if page.is_empty() {
            return writes;
        }
        writes.extend(page);
    }
}

async fn sequences(redis: &Redis, key: &Key) -> Vec<u64> {
    let pending = pending(redis, key).await;
    pending.iter().map(|write| write.sequence).collect()
}

async fn owner(redis: &Redis) -> Token {
    let member = Token::fresh();
    let attendance = log(redis).attend(member, TTL).await.unwrap();
    assert_eq!(attendance.owned.len(), usize::from(PARTITIONS));
    member
}

fn done(key: &Key, sequences: &[u64]) -> Done {
    Done {
        key: key.clone(),
        function: FUNCTION.to_owned(),
        sequences: sequences.to_vec(),
        invalidates: false,
    }
}

async fn finish(redis: &Redis, member: Token, key: &Key, sequences: &[u64]) {
    let done = [done(key, sequences)];
    let finished = log(redis).finish(partition_of(key), member, &done).await;
    assert!(finished.unwrap());
}

async fn bury(redis: &Redis, member: Token, done: Done) {
    let partition = partition_of(&done.key);
    let burial = Burial {
        done,
        payload: Payload::Encoded("buried".into()),
        error: "no".to_owned(),
        attempts: 2,
    };
    assert!(log(redis).bury(partition, member, burial).await.unwrap());
}

async fn count(redis: &Redis) -> u64 {
    let size = log(redis).size().await.unwrap();
    let of_ours = size.pending.iter().find(|(name, _)| name == FUNCTION);
    of_ours.map_or(0, |(_, count)| *count)
}

fn stream(key: &Key) -> String {
    format!("{{t/log}}:{}", partition_of(key))
}

/// A key in another partition than `other`.
fn key_elsewhere(other: &Key) -> Key {
    let keys = (0..).map(|n| key(&format!("elsewhere:{n}")));
    keys.into_iter()
        .find(|key| partition_of(key) != partition_of(other))
        .unwrap()
}

/// Lets every other task run until it waits for the server.
async fn turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn raw(server: &RedisServer, command: &[&str]) -> Value {
    let mut query = cmd(command[0]);
    query.arg(&command[1..]);
    server.query(&query).await
}

#[tokio::test]
async fn appends_at_one_time_are_sent_together() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    logged(&redis, write(&key("first"))).await;
    server.forget_calls().await;
    let mut appends = tokio::task::JoinSet::new();
    for n in 0..500 {
        let redis = Arc::clone(&redis);
        appends.spawn(async move { logged(&redis, valued(&key(&format!("k{n}")), "x")).await });
    }
    let mut sequences = appends.join_all().await;
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), 500);
    assert!(
        server.calls().await["evalsha"] < 10,
        "{:?}",
        server.calls().await
    );
    assert_eq!(count(&redis).await, 501);
}

#[tokio::test]
async fn a_large_append_goes_by_itself_and_loses_nothing() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let large = || Append {
        payload: Payload::Encoded(vec![b'x'; 3 << 20].into()),
        ..write(&key)
    };
    let (one, two, three) = tokio::join!(
        logged(&redis, large()),
        logged(&redis, write(&key)),
        logged(&redis, large())
    );
    assert_eq!(sequences(&redis, &key).await.len(), 3);
    assert!(one != two && two != three);
}

#[tokio::test]
async fn one_refused_write_fails_none_that_goes_with_it() {
    let (server, broken) = (RedisServer::start().await, key("k"));
    let sound = key_elsewhere(&broken);
    // A user who may touch the one stream and not the other.
    let may = format!("~{}*", stream(&sound));
    let keys = ["~{t:*", "~{t/tags}*", "~{t/log}/*", &may];
    let mut acl = vec!["ACL", "SETUSER", "dora", "on", ">pw", "&*", "+@all"];
    acl.extend(keys);
    raw(&server, &acl).await;
    let redis = connect(&server.url().replace("redis://", "redis://dora:pw@")).await;
    server.forget_calls().await;
    let (refused, logged) = tokio::join!(
        log(&redis).append(valued(&broken, "new")),
        logged(&redis, valued(&sound, "new"))
    );
    assert_eq!(server.calls().await["evalsha"], 1);
    assert_eq!(refused.unwrap_err().kind(), BackendErrorKind::Rejected);
    assert_eq!(value(&redis, &broken).await, None);
    granted(&redis, &broken).await;
    assert_eq!(sequences(&redis, &sound).await, [logged]);
    let all = connect(&server.url()).await;
    assert_eq!(count(&all).await, 1);
}

#[tokio::test]
async fn a_full_server_takes_no_write_and_still_lets_out_what_it_has() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let (one, two) = (
        logged(&redis, valued(&key, "one")).await,
        logged(&redis, valued(&key, "two")).await,
    );
    raw(&server, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = log(&redis).append(valued(&key, "new")).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Rejected);
    assert_eq!(value(&redis, &key).await.as_deref(), Some("two"));
    let member = owner(&redis).await;
    let group = Begun {
        key: key.clone(),
        through: one,
        attempts: 1,
    };
    let begun = log(&redis)
        .begin(partition_of(&key), member, &[group])
        .await;
    assert_eq!(begun.unwrap(), Some(vec![true]));
    finish(&redis, member, &key, &[one]).await;
    bury(&redis, member, done(&key, &[two])).await;
    assert_eq!(log(&redis).letters(0, 9).await.unwrap().len(), 1);
    assert_eq!(sequences(&redis, &key).await, [0; 0]);
}

#[tokio::test]
async fn the_sequence_goes_on_where_it_was_lost_and_the_clock_set_back() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let other = key_elsewhere(&key);
    let before = logged(&redis, write(&key)).await;
    // An hour later in microseconds, as if the clock had been there.
    let ahead = before + 3_600_000_000;
    let id = format!("{ahead}-0");
    raw(
        &server,
        &["XADD", &stream(&key), &id, "k", "k", "f", FUNCTION],
    )
    .await;
    let after = logged(&redis, write(&key)).await;
    assert!(after > ahead);
    raw(&server, &["DEL", "{t/log}/seq"]).await;
    let elsewhere = logged(&redis, write(&other)).await;
    assert!(elsewhere > after, "also in a partition that holds nothing");
    for garbage in ["garbage", "-1", "1e9", "99999999999999999999"] {
        raw(&server, &["SET", "{t/log}/seq", garbage]).await;
        assert!(logged(&redis, write(&other)).await > elsewhere);
    }
}

#[tokio::test]
async fn a_log_without_greater_numbers_refuses_and_hands_on_what_it_has() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let one = logged(&redis, write(&key)).await;
    raw(
        &server,
        &["XADD", &stream(&key), "18446744073709551615-5", "a", "b"],
    )
    .await;
    let error = log(&redis).append(write(&key)).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Rejected);
    assert_eq!(sequences(&redis, &key).await, [one]);
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_told_them_again() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    for round in 1..3 {
        raw(&server, &["SCRIPT", "FLUSH"]).await;
        logged(&redis, write(&key)).await;
        assert_eq!(sequences(&redis, &key).await.len(), round);
    }
}

#[tokio::test]
async fn a_server_that_lost_everything_is_used_as_an_empty_one() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let member = owner(&redis).await;
    let lost = logged(&redis, valued(&key, "lost")).await;
    raw(&server, &["FLUSHALL"]).await;
    let over = [done(&key, &[lost])];
    let finished = log(&redis).finish(partition_of(&key), member, &over);
    assert!(!finished.await.unwrap());
    assert_eq!(log(&redis).size().await.unwrap(), Default::default());
    granted(&redis, &key).await;
    let member = owner(&redis).await;
    // Finished by someone who still knows of it.
    finish(&redis, member, &key, &[lost]).await;
    let sequence = logged(&redis, valued(&key, "new")).await;
    assert!(sequence > lost);
    assert_eq!(count(&redis).await, 1);
    finish(&redis, member, &key, &[sequence]).await;
    assert_eq!(count(&redis).await, 0);
}

#[tokio::test]
async fn a_dropped_caller_changes_nothing_for_the_others() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    logged(&redis, write(&key)).await;
    server.pause();
    let append = || {
        let (redis, key) = (Arc::clone(&redis), key.clone());
        tokio::spawn(async move { log(&redis).append(write(&key)).await })
    };
    // Two are on their way, each by itself; the others wait together.
    let mut sent = Vec::new();
    for _ in 0..2 {
        sent.push(append());
        turns().await;
    }
    let (dropped, stays) = (append(), append());
    turns().await;
    dropped.abort();
    sent[0].abort();
    server.resume();
    within(stays).await.unwrap().unwrap();
    assert!(matches!(
        within(sent.remove(1)).await.unwrap(),
        Ok(Appended::Logged(_))
    ));
    assert_eq!(
        sequences(&redis, &key).await.len(),
        4,
        "all but the one that was not sent"
    );
}

#[tokio::test]
async fn a_connection_lost_on_the_way_fails_the_appends_and_the_next_ones_go() {
    let server = RedisServer::start().await;
    let proxy = Proxy::before(&server).await;
    let (redis, key) = (connect(&proxy.url()).await, key("k"));
    logged(&redis, write(&key)).await;
    proxy.hang_replies();
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (redis, key) = (Arc::clone(&redis), key.clone());
        appends.spawn(async move { log(&redis).append(write(&key)).await });
    }
    eventually(DEADLINE, || async {
        let length: u64 = server.query(cmd("XLEN").arg(stream(&key))).await;
        length > 1
    })
    .await;
    proxy.cut();
    while let Some(answer) = within(appends.join_next()).await {
        // Not the one that waited until there was a connection again.
        if let Err(error) = answer.unwrap() {
            assert_eq!(error.kind(), BackendErrorKind::Unavailable);
        }
    }
    usable(&redis).await;
    logged(&redis, write(&key)).await;
}

#[tokio::test]
async fn an_entry_of_somebody_else_is_handed_on_and_can_be_buried() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let ours = logged(&redis, write(&key)).await;
    let stream = stream(&key);
    // The server gives the last of these an id that is no sequence number.
    let id = format!("{}-0", ours + 1);
    raw(&server, &["XADD", &stream, &id, "foo", "bar"]).await;
    raw(
        &server,
        &["XADD", &stream, "*", "foo", "bar", "h", " 2 \u{e9}"],
    )
    .await;
    let found = pending(&redis, &key).await;
    let [first, second, third] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((first.sequence, second.sequence), (ours, ours + 1));
    assert!(third.sequence > ours + 1);
    assert_eq!((&*second.function, second.key.as_str()), ("", ""));
    assert!(matches!(&second.payload, Payload::Encoded(bytes) if bytes.is_empty()));
    assert_eq!((&*third.function, third.key.as_str()), ("\u{e9}", ""));
    let member = owner(&redis).await;
    for stranger in [second, third] {
        let done = Done {
            key: stranger.key.clone(),
            function: stranger.function.clone(),
            sequences: vec![stranger.sequence],
            invalidates: true,
        };
        let burial = Burial {
            done,
            payload: stranger.payload.clone(),
            error: "what is it?".to_owned(),
            attempts: 0,
        };
        let buried = log(&redis).bury(partition_of(&key), member, burial).await;
        assert!(buried.unwrap());
    }
    assert_eq!(sequences(&redis, &key).await, [ours]);
    assert_eq!(
        log(&redis).size().await.unwrap().pending,
        [(FUNCTION.to_owned(), 1)]
    );
    let letters = log(&redis).letters(0, 9).await.unwrap();
    assert_eq!(letters.len(), 2);
    for letter in letters {
        assert!(log(&redis).discard(letter.sequence).await.unwrap());
    }
}

#[tokio::test]
async fn what_else_is_under_the_names_of_the_log_is_emptied_and_used() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let partition = partition_of(&key);
    let stream = stream(&key);
    let names =
        ["/seq", "/count", "/members", "/dead", "/d"].map(|name| format!("{{t/log}}{name}"));
    let names = names
        .into_iter()
        .chain(["/o", "/b"].map(|name| format!("{stream}{name}")));
    let names: Vec<_> = names.collect();
    let garbage: [&[&str]; 4] = [
        &["SET", "", "garbage"],
        &["RPUSH", "", "garbage"],
        &["HSET", "", "k", "garbage", FUNCTION, "garbage"],
        &["ZADD", "", "inf", "garbage", "-inf", "rubbish", "5", "5"],
    ];
    for command in garbage {
        for name in &names {
            raw(&server, &["DEL", name]).await;
            let mut command = command.to_vec();
            command[1] = name;
            raw(&server, &command).await;
        }
        let _ = log(&redis).letters(0, 9).await.unwrap();
        let _ = log(&redis).size().await.unwrap();
        let _ = log(&redis).begun(partition).await.unwrap();
        let member = owner(&redis).await;
        let (one, two) = (
            logged(&redis, valued(&key, "one")).await,
            logged(&redis, valued(&key, "two")).await,
        );
        assert_eq!(count(&redis).await, 2);
        let group = Begun {
            key: key.clone(),
            through: one,
            attempts: 1,
        };
        let begun = log(&redis).begin(partition, member, slice::from_ref(&group));
        assert_eq!(begun.await.unwrap(), Some(vec![true]));
        assert_eq!(log(&redis).begun(partition).await.unwrap(), [group]);
        finish(&redis, member, &key, &[one]).await;
        bury(&redis, member, done(&key, &[two])).await;
        let letters = log(&redis).letters(5, 9).await.unwrap();
        assert_eq!(letters.len(), 1, "{command:?}");
        assert_eq!((letters[0].sequence, &*letters[0].error), (two, "no"));
        let revival = log(&redis).revive(two, write(&key), true).await.unwrap();
        assert!(matches!(revival, Revival::Logged(_)));
        finish(&redis, member, &key, &sequences(&redis, &key).await).await;
        assert_eq!(count(&redis).await, 0);
        log(&redis).leave(member).await.unwrap();
    }
}

#[tokio::test]
async fn a_count_of_lost_writes_refuses_none() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let bounded = || Append {
        max_pending: 2,
        ..write(&key)
    };
    raw(&server, &["HSET", "{t/log}/count", FUNCTION, "7"]).await;
    let one = logged(&redis, bounded()).await;
    logged(&redis, bounded()).await;
    let full = log(&redis).append(bounded()).await.unwrap();
    assert!(matches!(
        full,
        Appended::Full {
            key_is_pending: true,
            ..
        }
    ));
    assert_eq!(count(&redis).await, 2);
    let member = owner(&redis).await;
    for _ in 0..3 {
        finish(&redis, member, &key, &[one]).await;
    }
    assert_eq!(count(&redis).await, 1);
}

#[tokio::test]
async fn a_state_does_not_expire_while_a_write_is_pending_and_does_after() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let ttl = || async { server.query::<i64>(cmd("PTTL").arg("{t:k}/s")).await };
    let member = owner(&redis).await;
    assert!(
        redis
            .put_if_newer(&key, 7, entry("fenced"), TTL)
            .await
            .unwrap()
    );
    let one = logged(&redis, valued(&key, "one")).await;
    let token = Token::fresh();
    redis.begin_write(&key, token, TTL).await.unwrap();
    assert!(redis.renew_write(&key, token, TTL).await.unwrap());
    redis.end_write(&key, token, None).await.unwrap();
    assert_eq!(ttl().await, -1);
    finish(&redis, member, &key, &[one]).await;
    assert!(ttl().await > 24 * 3_600_000);
    assert!(
        !redis
            .put_if_newer(&key, 7, entry("old"), TTL)
            .await
            .unwrap()
    );
    // A write without a value, beside which loads go on.
    let two = logged(&redis, write(&key)).await;
    redis.invalidate(slice::from_ref(&key)).await.unwrap();
    let token = granted(&redis, &key).await;
    assert!(redis.renew(&key, token, TTL).await.unwrap());
    assert_eq!(ttl().await, -1);
    assert!(redis.fill(&key, token, entry("loaded"), TTL).await.unwrap());
    finish(&redis, member, &key, &[two]).await;
    assert!(ttl().await > 24 * 3_600_000);
}

#[tokio::test]
async fn a_page_of_writes_has_at_most_a_mebibyte_or_one_write() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    for length in [2_000_000, 400_000, 400_000, 400_000, 10, 10] {
        let large = Append {
            payload: Payload::Encoded(vec![b'x'; length].into()),
            ..write(&key)
        };
        logged(&redis, large).await;
    }
    let (mut after, mut pages) = (0, Vec::new());
    loop {
        let page = log(&redis).read(partition_of(&key), after, 1000).await;
        let page = page.unwrap();
        let Some(last) = page.last() else { break };
        after = last.sequence;
        pages.push(page.len());
    }
    assert_eq!(pages, [1, 2, 3]);
}

#[tokio::test]
async fn nothing_is_left_of_a_dispute_when_its_write_is_over() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let member = owner(&redis).await;
    for buries in [false, true] {
        let one = logged(&redis, valued(&key, "one")).await;
        redis.invalidate(slice::from_ref(&key)).await.unwrap();
        let disputed: Option<u64> = server.query(cmd("HGET").arg("{t:k}/s").arg("d")).await;
        assert_eq!(disputed, Some(one));
        if buries {
            bury(&redis, member, done(&key, &[one])).await;
        } else {
            finish(&redis, member, &key, &[one]).await;
        }
        let left: u64 = server.query(cmd("EXISTS").arg("{t:k}/s")).await;
        assert_eq!(left, 0);
    }
    // A value that takes the disputed one's place takes its mark away too.
    logged(&redis, valued(&key, "one")).await;
    redis.invalidate(slice::from_ref(&key)).await.unwrap();
    logged(&redis, valued(&key, "two")).await;
    let disputed: Option<u64> = server.query(cmd("HGET").arg("{t:k}/s").arg("d")).await;
    assert_eq!(disputed, None);
}

#[tokio::test]
async fn a_lease_goes_on_beside_a_write_without_a_value_and_still_calls_who_waits() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let token = granted(&redis, &key).await;
    let waiting = tokio::spawn({
        let (redis, key) = (Arc::clone(&redis), key.clone());
        async move { redis.wait(&key, token, TTL).await }
    });
    eventually(DEADLINE, || async {
        super::is_waited_for(&server, "{t:k}/s").await
    })
    .await;
    logged(&redis, write(&key)).await;
    assert!(matches!(lease(&redis, &key).await.1, Lease::Busy(holder, _) if holder == token));
    assert!(redis.fill(&key, token, entry("loaded"), TTL).await.unwrap());
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_value_whose_write_was_removed_by_hand_is_pending_no_more() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    logged(&redis, valued(&key, "pending")).await;
    assert!(!redis.put(&key, entry("put"), TTL).await.unwrap());
    raw(&server, &["DEL", &stream(&key)]).await;
    assert!(redis.put(&key, entry("put"), TTL).await.unwrap());
    redis.invalidate(slice::from_ref(&key)).await.unwrap();
    granted(&redis, &key).await;
    assert!(server.query::<i64>(cmd("PTTL").arg("{t:k}/s")).await > 0);
}

#[tokio::test]
async fn many_leases_at_once_find_pending_values_as_new_as_one_does() {
    let server = RedisServer::start().await;
    let (redis, keys) = (connect(&server.url()).await, [key("a"), key("b"), key("c")]);
    logged(&redis, valued(&keys[0], "removed")).await;
    logged(&redis, valued(&keys[1], "there")).await;
    redis.invalidate(&keys[..1]).await.unwrap();
    let old = Duration::from_millis(300);
    // The one that is still there is as old as its entry by now, and the answers are not.
    eventually(DEADLINE, async || {
        let found = redis.get(&keys[1]).await.unwrap();
        matches!(found, Some(cache_runtime::backend::Stored::Encoded(entry)) if entry.age >= old)
    })
    .await;
    let asks = keys.clone().map(|key| Ask {
        key,
        tags: Default::default(),
        token: Token::fresh(),
        mode: LeaseMode::IfMissing,
    });
    let leases = redis.lease_many(&asks, TTL).await.unwrap();
    let [Lease::Hit(one), Lease::Hit(two), Lease::Granted(_)] = &leases[..] else {
        panic!("{leases:?}")
    };
    assert_eq!((&*text(one), &*text(two)), ("removed", "there"));
    for hit in [one, two] {
        let cache_runtime::backend::Stored::Encoded(hit) = hit else {
            panic!("Redis gives bytes")
        };
        assert!(hit.age < old, "{:?}", hit.age);
    }
}

#[tokio::test]
async fn thousands_of_writes_of_a_key_are_finished_and_buried() {
    let server = RedisServer::start().await;
    let (redis, key) = (connect(&server.url()).await, key("k"));
    let member = owner(&redis).await;
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..9000 {
        let (redis, key) = (Arc::clone(&redis), key.clone());
        appends.spawn(async move { logged(&redis, write(&key)).await });
    }
    appends.join_all().await;
    let all = sequences(&redis, &key).await;
    let (one, two) = all.split_at(500);
    finish(&redis, member, &key, one).await;
    assert_eq!(count(&redis).await, 8500);
    bury(&redis, member, done(&key, two)).await;
    assert_eq!(log(&redis).size().await.unwrap().pending, []);
    let letters = log(&redis).letters(0, 9).await.unwrap();
    assert_eq!(letters[0].sequence, all[8999]);
    finish(&redis, member, &key, &all).await;
    assert_eq!(log(&redis).size().await.unwrap().letters, 1);
    assert!(log(&redis).discard(all[8999]).await.unwrap());
    bury(&redis, member, done(&key, two)).await;
    assert_eq!(log(&redis).size().await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_write_that_its_entry_cannot_be_told_of_is_not_pending() {
    let server = RedisServer::start().await;
    raw(
        &server,
        &[
            "ACL", "SETUSER", "carl", "on", ">pw", "~*", "&*", "+@all", "-getset",
        ],
    )
    .await;
    let redis = connect(&server.url().replace("redis://", "redis://carl:pw@")).await;
    let key = key("k");
    let error = log(&redis).append(valued(&key, "new")).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Rejected);
    assert_eq!(sequences(&redis, &key).await, [0; 0]);
    assert_eq!(log(&redis).size().await.unwrap(), Default::default());
    assert_eq!(value(&redis, &key).await, None);
    granted(&redis, &key).await;
}

#[tokio::test]
async fn a_user_with_the_documented_rights_may_use_the_log() {
    let server = RedisServer::start().await;
    let mut acl = cmd("ACL");
    acl.arg(&[
        "SETUSER",
        "anna",
        "on",
        ">pw",
        "resetkeys",
        "~{t:*",
        "~{t/tags}*",
        "~{t/log}*",
        "resetchannels",
        "&{t:*",
        "-@all",
    ]);
    let documented = "HELLO SELECT PING GET MGET SET UNLINK HGETALL HLEN HSET HDEL PTTL PEXPIRE TIME EVAL EVALSHA SCAN SUBSCRIBE UNSUBSCRIBE PUBLISH \
        GETSET HGET HMGET HEXISTS HINCRBY PERSIST XADD XDEL XLEN XRANGE XINFO ZADD ZREM ZCARD ZCOUNT ZRANGEBYSCORE ZREVRANGEBYSCORE ZREMRANGEBYSCORE";
    for command in documented.split_whitespace() {
        acl.arg(format!("+{}", command.to_lowercase()));
    }
    let () = server.query(&acl).await;
    let redis = connect(&server.url().replace("redis://", "redis://anna:pw@")).await;
    let key = key("k");
    let member = owner(&redis).await;
    raw(&server, &["XADD", &stream(&key), "5-5", "foo", "bar"]).await;
    raw(&server, &["SET", "{t/log}/seq", "garbage"]).await;
    granted(&redis, &key).await;
    let one = logged(&redis, valued(&key, "one")).await;
    let full = Append {
        max_pending: 1,
        ..write(&key)
    };
    assert!(matches!(
        log(&redis).append(full).await.unwrap(),
        Appended::Full { .. }
    ));
    redis.invalidate(slice::from_ref(&key)).await.unwrap();
    assert!(matches!(lease(&redis, &key).await.1, Lease::Hit(_)));
    assert_eq!(pending(&redis, &key).await.len(), 2);
    let group = Begun {
        key: key.clone(),
        through: one,
        attempts: 1,
    };
    let partition = partition_of(&key);
    assert!(
        log(&redis)
            .begin(partition, member, &[group])
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(log(&redis).begun(partition).await.unwrap().len(), 1);
    bury(&redis, member, done(&key, &[one])).await;
    let letters = log(&redis).letters(0, 9).await.unwrap();
    let revival = log(&redis)
        .revive(letters[0].sequence, valued(&key, "two"), true)
        .await;
    let Revival::Logged(two) = revival.unwrap() else {
        panic!("it was there")
    };
    finish(&redis, member, &key, &[two]).await;
    assert!(!log(&redis).discard(two).await.unwrap());
    log(&redis).size().await.unwrap();
    assert_eq!(
        log(&redis).dangers().await.unwrap(),
        [""; 0],
        "the server does not tell"
    );
    log(&redis).resign(member, &[1]).await.unwrap();
    log(&redis).leave(member).await.unwrap();
}

#[tokio::test]
async fn the_server_tells_what_puts_the_log_at_risk() {
    let risky = RedisServer::start().await;
    let redis = connect(&risky.url()).await;
    let dangers = log(&redis).dangers().await.unwrap();
    assert!(matches!(&dangers[..], [danger] if danger.contains("set `appendonly yes`")));
    raw(
        &risky,
        &[
            "CONFIG",
            "SET",
            "maxmemory",
            "1gb",
            "maxmemory-policy",
            "allkeys-lru",
        ],
    )
    .await;
    let dangers = log(&redis).dangers().await.unwrap();
    assert!(matches!(&dangers[..], [_, danger] if danger.contains("allkeys-lru")));
    let safe = RedisServer::builder().append_only().start().await;
    let redis = connect(&safe.url()).await;
    assert_eq!(log(&redis).dangers().await.unwrap(), [""; 0]);
    raw(&safe, &["CONFIG", "SET", "appendfsync", "everysec"]).await;
    let dangers = log(&redis).dangers().await.unwrap();
    assert!(matches!(&dangers[..], [danger] if danger.contains("`appendfsync always`")));
}
