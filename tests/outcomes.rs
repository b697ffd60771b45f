//! What a result comes to: for how long a value is kept, and what becomes of `None` and `Err`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached, invalidates};
use redis::cmd;
use serde::{Deserialize, Serialize};
use tests::{RedisServer, on_each_backend, on_redis};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_nanos(1);

/// Stands for the database: gives the answer it is told to, and counts its queries.
#[derive(Default)]
struct Db(AtomicU64);

impl Db {
    fn query<T>(&self, answer: T) -> T {
        self.0.fetch_add(1, SeqCst);
        answer
    }

    fn queries(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

async fn moved() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    let builder = Cache::builder().clock(&clock);
    (builder.build().await.unwrap(), clock)
}

/// Whether the server keeps the entry for this long, less what the test has taken so far.
async fn is_kept_for(server: &RedisServer, key: &str, ttl: Duration) -> bool {
    let left: i64 = server
        .query(cmd("PTTL").arg(format!("{{cache:{key}}}")))
        .await;
    let left = Duration::from_millis(u64::try_from(left).expect("it is kept"));
    left <= ttl && left + MINUTE > ttl
}

mod none {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct DbError;

    type Row = Result<Option<u64>, DbError>;

    #[cached(key = "row:<id>", ttl = "1h", negative_ttl = "10m")]
    async fn option(db: &Db, id: u64, answer: Option<u64>) -> Option<u64> {
        db.query(answer)
    }

    #[cached(key = "row:<id>", ttl = "1h", negative_ttl = "10m")]
    async fn row(db: &Db, id: u64, answer: Row) -> Row {
        db.query(answer)
    }

    /// On the same template: does not keep `None`.
    #[cached(key = "row:<id>", ttl = "1h")]
    async fn forgetful(db: &Db, id: u64, answer: Option<u64>) -> Option<u64> {
        db.query(answer)
    }

    /// On the same template: has no `None`.
    #[cached(key = "row:<id>", ttl = "1h")]
    async fn always(db: &Db, id: u64, answer: u64) -> u64 {
        db.query(answer)
    }

    #[cached(key = "shared:<id>", ttl = "1h", negative_ttl = "10m")]
    async fn shared(
        db: &Db,
        id: u64,
        answer: Option<Arc<String>>,
    ) -> Result<Option<Arc<String>>, DbError> {
        Ok(db.query(answer))
    }

    #[invalidates("row:<id>")]
    async fn write(id: u64) {}

    #[tokio::test]
    async fn it_is_cached_for_its_own_ttl_and_no_longer() {
        let (cache, clock) = moved().await;
        let db = Db::default();
        cache
            .scope(async {
                assert_eq!(option(&db, 1, None).await, None);
                assert_eq!(row(&db, 2, Ok(None)).await, Ok(None));
                clock.advance(10 * MINUTE - MOMENT);
                assert_eq!(option(&db, 1, Some(5)).await, None);
                assert_eq!(row(&db, 2, Ok(Some(5))).await, Ok(None));
                assert_eq!(db.queries(), 2);
                clock.advance(MOMENT);
                assert_eq!(option::peek(1).await, None);
                assert_eq!(option(&db, 1, Some(5)).await, Some(5));
                assert_eq!(row(&db, 2, Ok(Some(5))).await, Ok(Some(5)));
                clock.advance(HOUR - MOMENT);
                assert_eq!(option(&db, 1, None).await, Some(5));
                assert_eq!(row(&db, 2, Ok(None)).await, Ok(Some(5)));
                assert_eq!(db.queries(), 4);
            })
            .await;
    }

    #[tokio::test]
    async fn redis_is_told_its_own_ttl() {
        let (server, db) = (RedisServer::start().await, Db::default());
        let cache = on_redis(&server).await;
        cache
            .scope(async {
                option(&db, 1, None).await;
                row(&db, 2, Ok(None)).await.unwrap();
                option::put(3, None::<u64>).await.unwrap();
                option(&db, 4, Some(1)).await;
            })
            .await;
        for id in [1, 2, 3] {
            assert!(is_kept_for(&server, &format!("row:{id}"), 10 * MINUTE).await);
        }
        assert!(is_kept_for(&server, "row:4", HOUR).await);
    }

    #[tokio::test]
    async fn it_is_not_cached_without_a_negative_ttl() {
        on_each_backend(async |_| {
            let db = Db::default();
            for _ in 0..3 {
                assert_eq!(forgetful(&db, 1, None).await, None);
            }
            assert_eq!(db.queries(), 3);
            assert_eq!(forgetful::peek(1).await, None);
        })
        .await;
    }

    #[tokio::test]
    async fn a_peek_tells_a_cached_none_from_nothing() {
        on_each_backend(async |cache| {
            let db = Db::default();
            assert_eq!(option::peek(1).await, None);
            assert_eq!(row::peek(1).await, None);
            option(&db, 1, None).await;
            assert_eq!(option::peek(1).await, Some(None));
            assert_eq!(row::peek(1).await, Some(Ok(None)));
            assert_eq!(always::peek(1).await, None);
            assert_eq!(cache.stats().function(option::SPEC).hits, 0);
        })
        .await;
    }

    #[tokio::test]
    async fn a_cached_none_is_a_hit() {
        on_each_backend(async |cache| {
            let db = Db::default();
            assert_eq!(row(&db, 1, Ok(None)).await, Ok(None));
            assert_eq!(row(&db, 1, Ok(Some(1))).await, Ok(None));
            assert_eq!(shared(&db, 1, None).await, Ok(None));
            assert_eq!(shared(&db, 1, Some(Arc::default())).await, Ok(None));
            assert_eq!(db.queries(), 2);
            let stats = cache.stats().function(row::SPEC);
            assert_eq!((stats.hits, stats.misses, stats.unreadable), (1, 1, 0));
        })
        .await;
    }

    #[tokio::test]
    async fn it_is_invalidated_like_a_value() {
        on_each_backend(async |cache| {
            let db = Db::default();
            for _ in 0..3 {
                assert_eq!(option(&db, 1, None).await, None);
                write(1).await;
                assert_eq!(option(&db, 1, Some(5)).await, Some(5));
                option::put(1, None::<u64>).await.unwrap();
                option::invalidate(1).await.unwrap();
                assert_eq!(option(&db, 1, Some(6)).await, Some(6));
                option::put(1, None::<u64>).await.unwrap();
                cache.invalidate("row:1").await.unwrap();
                assert_eq!(option::peek(1).await, None);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn put_stores_it() {
        on_each_backend(async |_| {
            let db = Db::default();
            option::put(1, None::<u64>).await.unwrap();
            assert_eq!(option(&db, 1, Some(5)).await, None);
            row::put(2, Row::Ok(None)).await.unwrap();
            assert_eq!(row(&db, 2, Ok(Some(5))).await, Ok(None));
            assert_eq!(db.queries(), 0);
            // Some(…) after it is a value again.
            option::put(1, Some(7)).await.unwrap();
            assert_eq!(option(&db, 1, None).await, Some(7));
        })
        .await;
    }

    #[tokio::test]
    async fn two_processes_share_it() {
        let (server, db) = (RedisServer::start().await, Db::default());
        let (one, two) = (on_redis(&server).await, on_redis(&server).await);
        assert_eq!(one.scope(row(&db, 1, Ok(None))).await, Ok(None));
        assert_eq!(two.scope(row(&db, 1, Ok(Some(5)))).await, Ok(None));
        assert_eq!(db.queries(), 1);
        two.scope(write(1)).await;
        assert_eq!(one.scope(row(&db, 1, Ok(Some(5)))).await, Ok(Some(5)));
    }

    #[tokio::test]
    async fn a_function_that_has_no_none_takes_it_for_a_miss() {
        on_each_backend(async |cache| {
            let db = Db::default();
            option(&db, 1, None).await;
            assert_eq!(always(&db, 1, 9).await, 9);
            assert_eq!(cache.stats().function(always::SPEC).unreadable, 1);
            assert_eq!(always(&db, 1, 10).await, 9, "it was replaced");
            assert_eq!(option(&db, 1, None).await, Some(9));
            assert_eq!(db.queries(), 2);
        })
        .await;
    }

    #[tokio::test]
    async fn it_takes_the_place_of_a_value() {
        on_each_backend(async |_| {
            let db = Db::default();
            option(&db, 1, Some(5)).await;
            assert_eq!(option::refresh(&db, 1, None).await, None);
            assert_eq!(option(&db, 1, Some(6)).await, None);
            option(&db, 2, Some(5)).await;
            option::put(2, None::<u64>).await.unwrap();
            assert_eq!(option(&db, 2, Some(6)).await, None);
        })
        .await;
    }

    #[tokio::test]
    async fn it_takes_a_value_away_even_where_it_is_not_cached() {
        on_each_backend(async |_| {
            let db = Db::default();
            forgetful(&db, 1, Some(5)).await;
            assert_eq!(forgetful::refresh(&db, 1, None).await, None);
            assert_eq!(forgetful::peek(1).await, None);
            forgetful(&db, 2, Some(5)).await;
            forgetful::put(2, None::<u64>).await.unwrap();
            assert_eq!(forgetful::peek(2).await, None);
        })
        .await;
    }

    #[tokio::test]
    async fn an_error_is_never_stored_and_takes_nothing_away() {
        on_each_backend(async |_| {
            let db = Db::default();
            for _ in 0..2 {
                assert_eq!(row(&db, 1, Err(DbError)).await, Err(DbError));
                assert_eq!(row::peek(1).await, None);
            }
            assert_eq!(db.queries(), 2);
            for there in [Some(5), None] {
                row::put(1, Row::Ok(there)).await.unwrap();
                assert_eq!(row::refresh(&db, 1, Err(DbError)).await, Err(DbError));
                assert_eq!(row::peek(1).await, Some(Ok(there)));
            }
        })
        .await;
    }

    #[tokio::test]
    async fn an_error_that_is_put_removes_what_is_there() {
        on_each_backend(async |_| {
            row::put(1, 5).await.unwrap();
            row::put(1, Row::Err(DbError)).await.unwrap();
            assert_eq!(row::peek(1).await, None);
        })
        .await;
    }
}

mod ttl_from_the_value {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Session {
        id: u64,
        lives: Option<Duration>,
    }

    fn session(lives: impl Into<Option<Duration>>) -> Session {
        let lives = lives.into();
        Session { id: 7, lives }
    }

    fn lives(session: &Session) -> Option<Duration> {
        session.lives
    }

    fn shared_lives(session: &Arc<Session>) -> Option<Duration> {
        session.lives
    }

    #[cached(key = "session:<id>", ttl_with = lives)]
    async fn open(db: &Db, id: u64, answer: Session) -> Session {
        db.query(answer)
    }

    #[cached(key = "shared:<id>", ttl_with = shared_lives, negative_ttl = "10m")]
    async fn shared(
        db: &Db,
        id: u64,
        answer: Option<Arc<Session>>,
    ) -> Result<Option<Arc<Session>>, String> {
        Ok(db.query(answer))
    }

    #[tokio::test]
    async fn each_value_has_its_own() {
        let (cache, clock) = moved().await;
        let db = Db::default();
        cache
            .scope(async {
                open(&db, 1, session(MINUTE)).await;
                open(&db, 2, session(2 * MINUTE)).await;
                clock.advance(MINUTE - MOMENT);
                assert_eq!(open::peek(1).await, Some(session(MINUTE)));
                clock.advance(MOMENT);
                assert_eq!(open::peek(1).await, None);
                clock.advance(MINUTE - MOMENT);
                assert_eq!(open::peek(2).await, Some(session(2 * MINUTE)));
                clock.advance(MOMENT);
                assert_eq!(open::peek(2).await, None);
                open(&db, 2, session(None)).await;
                assert_eq!(db.queries(), 3);
            })
            .await;
    }

    #[tokio::test]
    async fn redis_is_told_the_ttl_of_each_value() {
        let (server, db) = (RedisServer::start().await, Db::default());
        let cache = on_redis(&server).await;
        cache
            .scope(async {
                open(&db, 1, session(HOUR)).await;
                open::put(2, session(2 * HOUR)).await.unwrap();
                let value = Arc::new(session(3 * HOUR));
                shared(&db, 3, Some(value)).await.unwrap();
                shared(&db, 4, None).await.unwrap();
            })
            .await;
        for (key, ttl) in [
            ("session:1", HOUR),
            ("session:2", 2 * HOUR),
            ("shared:3", 3 * HOUR),
            ("shared:4", 10 * MINUTE),
        ] {
            assert!(is_kept_for(&server, key, ttl).await, "{key}");
        }
    }

    #[tokio::test]
    async fn a_value_without_one_is_returned_and_not_stored() {
        on_each_backend(async |_| {
            let db = Db::default();
            for none in [None, Some(Duration::ZERO)] {
                assert_eq!(open(&db, 1, session(none)).await, session(none));
                assert_eq!(open::peek(1).await, None);
            }
            assert_eq!(db.queries(), 2);
        })
        .await;
    }

    #[tokio::test]
    async fn a_value_without_one_takes_away_what_it_makes_old() {
        on_each_backend(async |_| {
            let db = Db::default();
            open(&db, 1, session(HOUR)).await;
            open::refresh(&db, 1, session(None)).await;
            assert_eq!(open::peek(1).await, None);
            open::put(1, session(HOUR)).await.unwrap();
            assert_eq!(open::peek(1).await, Some(session(HOUR)));
            open::put(1, session(None)).await.unwrap();
            assert_eq!(open::peek(1).await, None);
        })
        .await;
    }

    #[tokio::test]
    async fn an_arc_is_handed_out_as_it_is_stored() {
        on_each_backend(async |cache| {
            let db = Db::default();
            let value = Arc::new(session(HOUR));
            let first = shared(&db, 1, Some(value.clone())).await.unwrap();
            let second = shared(&db, 1, None).await.unwrap().unwrap();
            assert_eq!((first, &second), (Some(value.clone()), &value));
            let in_memory = cache.stats().backend.name == "memory";
            assert_eq!(Arc::ptr_eq(&second, &value), in_memory);
            assert_eq!(db.queries(), 1);
        })
        .await;
    }
}
