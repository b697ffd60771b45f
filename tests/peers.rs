//! Where other cache crates fail: one test a row, named for what ours does. What has a test of its own elsewhere is not here
//! twice; see `stampede.rs` (cold keys, slow loads, recursion), `leaders.rs` (dropped and panicking leaders), `failing_loads.rs`, `consistency.rs`
//! (late fills, tokens), `failing_open.rs` (servers away), `cached.rs` (names, aliases), `keys.rs` and `codecs.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cache_runtime::{Cache, cached};
use tests::{DEADLINE, RedisServer, eventually, within};

/// Others: a killed Redis costs 9.5 to 19 s a call, every call. The bound here is a hundredth of that for a hundred calls.
#[tokio::test]
async fn a_killed_redis_costs_a_hundred_calls_less_than_others_pay_for_one() {
    #[cached(key = "answer:<id>")]
    async fn answer(id: u32) -> u32 {
        id
    }
    let mut server = RedisServer::start().await;
    let cache = Cache::builder()
        .url(&server.url())
        .unwrap()
        .build()
        .await
        .unwrap();
    cache.scope(answer(1)).await;
    server.kill();
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(cache.scope(answer(1)).await, 1);
    }
    assert!(began.elapsed() < Duration::from_secs(9));
}

/// Others: the loader's error becomes an `Arc<E>` that the caller cannot get its own type back from.
#[tokio::test]
async fn the_caller_gets_its_own_error_type_back() {
    #[derive(Debug, PartialEq)]
    struct NotClone(&'static str);

    #[cached(key = "fails")]
    async fn fails() -> Result<u32, NotClone> {
        Err(NotClone("my own"))
    }
    let cache = Cache::builder().build().await.unwrap();
    assert_eq!(cache.scope(fails()).await, Err(NotClone("my own")));
}

/// Others: two arguments do not compile without a conversion by hand.
#[tokio::test]
async fn several_arguments_need_no_conversion() {
    #[cached]
    async fn join(left: &str, right: Option<u32>, flag: bool) -> String {
        format!("{left}{right:?}{flag}")
    }
    let server = RedisServer::start().await;
    let cache = Cache::builder()
        .url(&server.url())
        .unwrap()
        .build()
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(cache.scope(join("a", Some(1), true)).await, "aSome(1)true");
    }
    assert_eq!(cache.stats().function(join::SPEC).loads, 1);
}

/// Others: the connection is not made anew once it is lost.
#[tokio::test]
async fn a_lost_connection_is_made_anew_without_a_restart() {
    #[cached(key = "count")]
    async fn count(loads: &AtomicU32) -> u32 {
        loads.fetch_add(1, SeqCst)
    }
    let server = RedisServer::start().await;
    let cache = Cache::builder()
        .url(&server.url())
        .unwrap()
        .build()
        .await
        .unwrap();
    let loads = AtomicU32::new(0);
    cache.scope(count(&loads)).await;
    server.disconnect_clients().await;
    eventually(DEADLINE, || async {
        within(cache.scope(count(&loads))).await;
        cache.stats().function(count::SPEC).hits > 0
    })
    .await;
}

/// Others: every waiter loads once its leader is dropped (51 loads).
#[tokio::test]
async fn dropping_a_leader_does_not_set_every_waiter_loading() {
    #[cached(key = "slow")]
    async fn slow(loads: &AtomicU32, gate: &tests::Gate) -> u32 {
        loads.fetch_add(1, SeqCst);
        gate.pass().await;
        7
    }
    let cache = Cache::builder().build().await.unwrap();
    let (loads, gate) = (Arc::new(AtomicU32::new(0)), tests::Gate::new());
    let call = || {
        let (cache, loads, gate) = (cache.clone(), loads.clone(), gate.clone());
        tokio::spawn(async move { cache.scope(slow(&loads, &gate)).await })
    };
    let leader = call();
    gate.arrived(1).await;
    let waiters: Vec<_> = (0..50).map(|_| call()).collect();
    leader.abort();
    gate.arrived(2).await;
    gate.open();
    for waiter in waiters {
        assert_eq!(within(waiter).await.unwrap(), 7);
    }
    assert_eq!(loads.load(SeqCst), 2);
}
