//! What is stored, when, and for how long.

use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached, carry};
use tests::{Logs, RedisServer, in_memory, on_each_backend, on_redis, within};

use super::*;

#[tokio::test]
async fn after_a_write_readers_hit_what_it_returned() {
    on_each_backend(async |cache| {
        for (number, kind) in (1..).zip(Kind::ALL) {
            let db = Db::new();
            db.row.lock().unwrap().version = number * 10;
            let written = kind.write(&db, Change::to("New")).await.unwrap();
            assert_eq!(load(&db, 7).await, written, "{kind:?}");
            assert_eq!((written.name.as_str(), db.loads()), ("New", 0), "{kind:?}");
            let stats = kind.stats(&cache);
            assert_eq!(
                (stats.writes, stats.write_errors, stats.rejected_fills),
                (1, 0, 0)
            );
            assert_eq!((stats.loads, stats.errors), (0, 0));
        }
    })
    .await;
}

async fn the_cache_follows_the_body(kind: Kind) {
    let db = Db::new();
    load(&db, 7).await;
    let change = Change::held("New");
    change.before.close();
    let write = kind.start(&db, &change);
    change.before.arrived(1).await;
    // Announced writes take the value away before they begin.
    let announced = matches!(kind, Kind::Fenced | Kind::Strict);
    let before = (!announced).then(|| "Old".to_owned());
    assert_eq!(cached_name().await, before, "{kind:?}");
    change.before.open();
    change.after.arrived(1).await;
    assert_eq!(cached_name().await, before, "{kind:?}: it may yet fail");
    change.after.open();
    within(write).await.unwrap().unwrap();
    assert_eq!(cached_name().await.as_deref(), Some("New"), "{kind:?}");
}

#[tokio::test]
async fn the_body_comes_first() {
    for kind in Kind::ALL {
        on_each_backend(async |_| the_cache_follows_the_body(kind).await).await;
    }
}

#[cached(pattern = "write-through", key = "user:<user.id>", value = user)]
async fn replace(db: &Db, mut user: User) -> Result<u64, DbError> {
    *db.row.lock().unwrap() = user.clone();
    user.name = "changed after it was taken".to_owned();
    Ok(user.version)
}

#[tokio::test]
async fn an_argument_can_be_stored_instead_of_the_result() {
    on_each_backend(async |_| {
        let db = Db::new();
        let user = User {
            id: 7,
            name: "Given".to_owned(),
            version: 5,
        };
        assert_eq!(replace(&db, user.clone()).await, Ok(5));
        assert_eq!(load(&db, 7).await, user);
        assert_eq!(db.loads(), 0);
    })
    .await;
}

struct Repo {
    db: Arc<Db>,
    cache: Cache,
}

impl Repo {
    #[cached(pattern = "write-through", key = "user:<id>", cache = self.cache)]
    async fn rename(&self, id: u64, change: Change) -> Result<User, DbError> {
        let _ = id;
        self.db.commit(&change).await
    }
}

#[tokio::test]
async fn a_method_can_be_a_writer_and_name_its_cache() {
    let repo = Repo {
        db: Db::new(),
        cache: in_memory().await,
    };
    repo.rename(7, Change::to("New")).await.unwrap();
    let elsewhere = in_memory().await;
    assert_eq!(elsewhere.scope(cached_name()).await, None);
    assert_eq!(
        repo.cache.scope(cached_name()).await.as_deref(),
        Some("New")
    );
}

#[cached(pattern = "write-through", key = "user:<id>")]
async fn perhaps(db: &Db, id: u64, found: bool) -> Option<User> {
    let _ = id;
    found.then(|| db.row())
}

#[tokio::test]
async fn a_result_without_a_value_leaves_none() {
    on_each_backend(async |_| {
        let db = Db::new();
        perhaps(&db, 7, true).await;
        assert!(cached_name().await.is_some());
        assert_eq!(perhaps(&db, 7, false).await, None);
        assert_eq!(cached_name().await, None);
    })
    .await;
}

fn by_version(user: &User) -> Option<Duration> {
    (user.version > 0).then(|| Duration::from_secs(user.version))
}

#[cached(pattern = "write-through", key = "user:<user.id>", value = user, ttl_with = by_version)]
async fn timed(user: User) {
    let _ = user;
}

fn of_version(version: u64) -> User {
    User {
        version,
        ..Db::new().row()
    }
}

#[tokio::test]
async fn a_value_may_say_how_long_it_lives() {
    let clock = ManualClock::new();
    let cache = Cache::builder().clock(&clock).build().await.unwrap();
    cache
        .scope(async {
            timed(of_version(10)).await;
            clock.advance(Duration::from_secs(9));
            assert!(cached_name().await.is_some());
            clock.advance(Duration::from_secs(1));
            assert_eq!(cached_name().await, None);
        })
        .await;
}

#[cached(
    pattern = "write-through",
    key = "user:<user.id>",
    value = user,
    ttl_with = by_version,
    consistency = "eventual"
)]
async fn timed_eventually(user: User) {
    let _ = user;
}

#[tokio::test]
async fn a_value_that_is_not_to_be_stored_takes_the_old_one_away() {
    on_each_backend(async |_| {
        timed(of_version(1000)).await;
        assert!(cached_name().await.is_some());
        timed(of_version(0)).await;
        assert_eq!(cached_name().await, None);
        timed_eventually(of_version(1000)).await;
        assert!(cached_name().await.is_some());
        timed_eventually(of_version(0)).await;
        assert_eq!(cached_name().await, None);
    })
    .await;
}

#[cached(pattern = "write-through", key = "n:<n>", ttl = 100, jitter = "50%")]
async fn number(n: u64) -> u64 {
    n
}

#[tokio::test]
async fn jitter_spreads_their_expiry() {
    let clock = ManualClock::new();
    let cache = Cache::builder()
        .clock(&clock)
        .seed(1)
        .build()
        .await
        .unwrap();
    let there = async || {
        let mut there = 0;
        for n in 0..100 {
            there += u64::from(number::peek(n).await.is_some());
        }
        there
    };
    cache
        .scope(async {
            for n in 0..100 {
                number(n).await;
            }
            clock.advance(Duration::from_millis(49_999));
            assert_eq!(there().await, 100);
            clock.advance(Duration::from_secs(25));
            let half = there().await;
            assert!(
                (25..75).contains(&half),
                "{half} of 100 are there at three quarters of the TTL"
            );
            clock.advance(Duration::from_secs(25) + Duration::from_millis(1));
            assert_eq!(there().await, 0);
        })
        .await;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(u64),
}

#[cached(pattern = "write-through", key = "loose")]
async fn loose(number: u64) -> Loose {
    Loose::Number(number)
}

#[cached(key = "loose", codec = "json")]
async fn read_loose() -> Loose {
    Loose::Number(0)
}

#[tokio::test]
async fn what_the_codec_cannot_read_back_takes_the_old_value_away() {
    let server = RedisServer::start().await;
    let (logs, cache) = (Logs::capture(), on_redis(&server).await);
    cache
        .scope(async {
            read_loose().await;
            assert_eq!(loose(1).await, Loose::Number(1));
            assert_eq!(read_loose::peek().await, None);
        })
        .await;
    assert_eq!(cache.stats().function(loose::SPEC).errors, 1);
    assert_eq!(logs.count("results of this function are not stored"), 1);
}

#[tokio::test]
async fn a_write_costs_one_round_trip_more_than_storing_it_by_hand_and_none_with_a_version() {
    let server = RedisServer::start().await;
    let cache = on_redis(&server).await;
    let db = Db::new();
    let calls = async |kind: Kind| {
        cache
            .scope(kind.write(&db, Change::to("New")))
            .await
            .unwrap();
        server.forget_calls().await;
        for _ in 0..10 {
            cache
                .scope(kind.write(&db, Change::to("New")))
                .await
                .unwrap();
        }
        let calls = server.calls().await;
        assert!(!calls.contains_key("eval"), "the scripts are known by now");
        calls["evalsha"]
    };
    assert_eq!(calls(Kind::Fenced).await, 20);
    assert_eq!(calls(Kind::Strict).await, 20);
    assert_eq!(calls(Kind::Versioned).await, 10);
    assert_eq!(calls(Kind::Eventual).await, 10);
}

#[tokio::test]
async fn a_writer_can_be_called_from_a_spawned_task() {
    on_each_backend(async |_| {
        let db = Db::new();
        let write = Kind::Fenced.start(&db, &Change::to("New"));
        within(write).await.unwrap().unwrap();
        let read = tokio::spawn(carry(async move { load(&db, 7).await.name }));
        assert_eq!(within(read).await.unwrap(), "New");
    })
    .await;
}

async fn large_body(id: u64) -> u64 {
    let held = [0_u8; 10_000];
    tokio::task::yield_now().await;
    id + u64::from(std::hint::black_box(&held)[0])
}

#[cached(pattern = "write-through", key = "large:<id>")]
async fn large(id: u64) -> u64 {
    large_body(id).await
}

#[cached(pattern = "write-through", key = "large:<id>", version = "<return>")]
async fn large_versioned(id: u64) -> u64 {
    large_body(id).await
}

#[cached(pattern = "write-through", key = "large:<id>", consistency = "strict")]
async fn large_strict(id: u64) -> Result<u64, DbError> {
    Ok(large_body(id).await)
}

#[test]
fn a_writer_does_not_multiply_the_size_of_its_body() {
    for size in [
        size_of_val(&large(1)),
        size_of_val(&large_versioned(1)),
        size_of_val(&large_strict(1)),
    ] {
        assert!(size < 3 * 10_000, "10,000 bytes made a future of {size}");
    }
}
