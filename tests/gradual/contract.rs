//! The contract of a backend, and who has which key.

use std::sync::Arc;
use std::time::Duration;

use cache_runtime::backend::gradual::{Rollout, RolloutError};
use cache_runtime::backend::log::{Append, Payload};
use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{Backend, Gradual, Memory};
use cache_runtime::testing::conformance::{self, Case};
use cache_runtime::{Cache, Key};
use tests::RedisServer;

use super::{Stores, kept, number, patient};

/// The names of the cases that fail.
async fn failing(
    cases: Vec<Case>,
    backend: Gradual,
    rollout: &Rollout,
    share: f64,
) -> Vec<&'static str> {
    let (backend, mut failing) = (Arc::new(backend), Vec::new());
    for case in cases {
        // A case may have cleared the cache, and so ended the roll-out.
        rollout.grow_to(share).await.unwrap();
        let backend: Arc<dyn Backend> = backend.clone();
        if tokio::spawn(async move { case.run(backend).await })
            .await
            .is_err()
        {
            failing.push(case.name());
        }
    }
    failing
}

const SHARES: [f64; 3] = [0.0, 0.5, 1.0];

#[tokio::test]
async fn two_memories_pass_every_case_at_every_share() {
    for share in SHARES {
        let (backend, rollout) = patient(Gradual::builder(Memory::new(), Memory::new()))
            .build()
            .unwrap();
        let failing = failing(conformance::cases(), backend, &rollout, share).await;
        assert_eq!(failing, [""; 0], "at {share}");
    }
}

async fn redis(server: &RedisServer, namespace: &str) -> Redis {
    let redis = Redis::from_url(&server.url()).unwrap().namespace(namespace);
    redis.connect().await.unwrap()
}

#[tokio::test]
async fn two_redis_servers_pass_every_case_at_every_share() {
    let (old, new) = (RedisServer::start().await, RedisServer::start().await);
    for share in SHARES {
        let name = format!("at {share}");
        let (old, new) = (redis(&old, &name).await, redis(&new, &name).await);
        let (backend, rollout) = patient(Gradual::builder(old, new)).build().unwrap();
        let failing = failing(conformance::cases(), backend, &rollout, share).await;
        assert_eq!(failing, [""; 0], "at {share}");
    }
}

#[tokio::test]
async fn the_log_is_the_old_backends_for_keys_that_stay() {
    let builder = patient(Gradual::builder(Memory::new(), Memory::new())).stays(|_| true);
    let (backend, rollout) = builder.build().unwrap();
    let failing = failing(conformance::log_cases(), backend, &rollout, 1.0).await;
    assert_eq!(failing, [""; 0]);
}

/// A pending value is known to the old backend alone: at the new one readers would load what the database had before it.
#[tokio::test]
async fn a_write_to_the_log_of_a_key_that_may_move_is_refused() {
    let builder = patient(Gradual::builder(Memory::new(), Memory::new()));
    let (backend, _) = builder
        .stays(|key| key.starts_with("cart:"))
        .build()
        .unwrap();
    let log = backend.write_log().unwrap();
    let append = |key: &str| Append {
        key: Key::from(key),
        function: "tests::save".to_owned(),
        payload: Payload::Typed(Arc::new(1)),
        value: None,
        max_pending: 10,
    };
    log.append(append("cart:1")).await.unwrap();
    let refused = log.append(append("user:1")).await.unwrap_err().to_string();
    assert!(
        refused.contains("`user:1`") && refused.contains("GradualBuilder::stays"),
        "{refused}"
    );
}

#[tokio::test]
async fn each_key_is_in_one_backend_and_the_share_says_in_which() {
    let stores = Stores::default();
    let host = stores.host().await;
    let read_all = || {
        host.cache.scope(async {
            for n in 0..1000 {
                assert_eq!(number(n).await, n);
            }
        })
    };
    read_all().await;
    assert_eq!(kept(&stores, 1000).await, (1000, 0));
    host.rollout.grow_to(0.25).await.unwrap();
    read_all().await;
    let (_, moved) = kept(&stores, 1000).await;
    assert!((200..300).contains(&moved), "{moved} of 1000");
    // No more loads than keys have moved, and none for those that were there before.
    assert_eq!(
        host.cache.stats().function(number::SPEC).loads,
        1000 + moved as u64
    );
    host.rollout.grow_to(1.0).await.unwrap();
    read_all().await;
    assert_eq!(kept(&stores, 1000).await.1, 1000);
    assert_eq!(host.cache.stats().function(number::SPEC).loads, 2000);
    // Back at once, to what the old one still has.
    host.rollout.withdraw().await.unwrap();
    read_all().await;
    assert_eq!(host.cache.stats().function(number::SPEC).loads, 2000);
}

#[tokio::test]
async fn every_process_follows_one() {
    let stores = Stores::default();
    let (one, other) = (stores.host().await, stores.host().await);
    one.rollout.grow_to(0.5).await.unwrap();
    other.at(0.5).await;
    let late = stores.host().await;
    late.at(0.5).await;
    other.rollout.grow_to(0.75).await.unwrap();
    one.at(0.75).await;
    one.cache.clear().await.unwrap();
    other.at(0.0).await;
}

#[tokio::test]
async fn invalidations_reach_both_whatever_the_share() {
    for share in SHARES {
        let stores = Stores::default();
        let host = stores.host().await;
        host.rollout.grow_to(1.0).await.unwrap();
        host.cache.scope(number(1)).await;
        host.rollout.grow_to(0.0).await.unwrap();
        host.cache.scope(number(1)).await;
        assert_eq!(kept(&stores, 2).await, (1, 1));
        host.rollout.grow_to(share).await.unwrap();
        host.cache.scope(number::invalidate(1)).await.unwrap();
        assert_eq!(kept(&stores, 2).await, (0, 0));
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_refused() {
    let server = RedisServer::start().await;
    let mixed = Gradual::new(Memory::new(), redis(&server, "new").await);
    assert!(mixed.unwrap_err().to_string().contains("both backends"));
    let (backend, rollout) = Gradual::builder(Memory::new(), Memory::new())
        .settle(Duration::ZERO)
        .build()
        .unwrap();
    let _cache = Cache::builder().backend(backend).build().await.unwrap();
    for share in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(
            rollout.grow_to(share).await,
            Err(RolloutError::Share(_))
        ));
    }
}

#[test]
fn without_a_runtime_it_is_not_built() {
    let error = Gradual::new(Memory::new(), Memory::new()).unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
}
