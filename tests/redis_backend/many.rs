//! Leases of many keys in few round trips.

use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Ask, Backend, Fill, HeldLease, Lease, LeaseMode, Token};
use cache_runtime::{BackendErrorKind, Key};
use redis::cmd;
use tests::RedisServer;

use super::{TTL, connect, entry, key, text};

fn asks(count: usize, mode: LeaseMode) -> Vec<Ask> {
    let ask = |n| Ask {
        key: key(&format!("k{n}")),
        tags: Default::default(),
        token: Token::fresh(),
        mode,
    };
    (0..count).map(ask).collect()
}

fn held(asks: &[Ask]) -> Vec<HeldLease> {
    asks.iter()
        .map(|ask| (ask.key.clone(), ask.token))
        .collect()
}

fn fills(asks: &[Ask]) -> Vec<Fill> {
    let fill = |ask: &Ask| Fill {
        key: ask.key.clone(),
        token: ask.token,
        value: entry(ask.key.as_str()),
        keep: TTL,
    };
    asks.iter().map(fill).collect()
}

async fn found(redis: &Redis, asks: &[Ask]) -> Vec<Option<String>> {
    let keys: Vec<Key> = asks.iter().map(|ask| ask.key.clone()).collect();
    let found = redis.get_many(&keys, &[]).await.unwrap();
    found.iter().map(|found| found.as_ref().map(text)).collect()
}

#[tokio::test]
async fn three_hundred_leases_take_three_scripts_and_none_where_they_are_free() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    let asks = asks(300, LeaseMode::IfMissing);
    for known in [false, true] {
        server.forget_calls().await;
        let leases = redis.lease_many(&asks, TTL).await.unwrap();
        assert!(
            leases
                .iter()
                .all(|lease| matches!(lease, Lease::Granted(_)))
        );
        let busy = redis.lease_many(&asks, TTL).await.unwrap();
        for (ask, lease) in asks.iter().zip(busy) {
            assert!(matches!(lease, Lease::Busy(holder, _) if holder == ask.token));
        }
        assert_eq!(
            redis.renew_many(&held(&asks), TTL).await.unwrap(),
            [true; 300]
        );
        // Some are lost on the way, in each of the parts.
        for lost in [0, 7, 150, 299] {
            redis
                .release(&asks[lost].key, asks[lost].token)
                .await
                .unwrap();
        }
        let stored = redis.fill_many(fills(&asks)).await.unwrap();
        for (n, (stored, found)) in stored
            .into_iter()
            .zip(found(&redis, &asks).await)
            .enumerate()
        {
            let expected = (![0, 7, 150, 299].contains(&n)).then(|| format!("k{n}"));
            assert_eq!((stored, &found), (expected.is_some(), &expected));
        }
        assert!(
            redis
                .renew_many(&held(&asks), TTL)
                .await
                .unwrap()
                .iter()
                .all(|stands| !stands)
        );
        let calls = server.calls().await;
        if known {
            // Three each of the second question, two renewals and a fill; and four released. The first takes none.
            assert_eq!(calls.get("evalsha"), Some(&16), "{calls:?}");
            assert!(!calls.contains_key("eval"), "{calls:?}");
        }
        let keys: Vec<Key> = asks.iter().map(|ask| ask.key.clone()).collect();
        redis.invalidate(&keys).await.unwrap();
        assert_eq!(server.entries().await.len(), 0);
    }
}

#[tokio::test]
async fn parts_that_the_server_forgot_are_sent_again() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    let asks = asks(300, LeaseMode::IfMissing);
    let forget = || async {
        let () = server.query(cmd("SCRIPT").arg("FLUSH")).await;
    };
    forget().await;
    redis.lease_many(&asks, TTL).await.unwrap();
    forget().await;
    redis.release_many(&held(&asks)).await.unwrap();
    assert_eq!(server.entries().await.len(), 0);
    redis.lease_many(&asks, TTL).await.unwrap();
    forget().await;
    assert_eq!(redis.fill_many(fills(&asks)).await.unwrap(), [true; 300]);
    assert!(found(&redis, &asks).await.iter().all(Option::is_some));
}

#[tokio::test]
async fn none_is_fine() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    assert!(redis.get_many(&[], &[]).await.unwrap().is_empty());
    assert!(redis.lease_many(&[], TTL).await.unwrap().is_empty());
    assert!(redis.renew_many(&[], TTL).await.unwrap().is_empty());
    assert!(redis.fill_many(Vec::new()).await.unwrap().is_empty());
    redis.release_many(&[]).await.unwrap();
}

#[tokio::test]
async fn what_fails_with_one_does_not_stop_the_others_and_is_reported() {
    let server = RedisServer::start().await;
    let redis = connect(&server.url()).await;
    let asks = asks(3, LeaseMode::Refresh);
    for ask in &asks {
        redis.put(&ask.key, entry("old"), TTL).await.unwrap();
    }
    redis.lease_many(&asks, TTL).await.unwrap();
    let memory = |limit: &'static str| {
        let mut set = cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(limit);
        set
    };
    // Room is refused to a script until it has changed something: here when it takes away the first one's older value.
    let () = server.query(&memory("1")).await;
    let error = redis.fill_many(fills(&asks)).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Rejected);
    assert!(error.to_string().contains("OOM"), "{error}");
    let () = server.query(&memory("0")).await;
    let found = found(&redis, &asks).await;
    assert_eq!(found[0], None, "no older value stays");
    for stored in &found[1..] {
        assert_ne!(stored.as_deref(), Some("old"));
        assert!(stored.is_some());
    }
}
