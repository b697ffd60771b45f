//! What `#[cached]` promises the caller of an annotated function.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{Cache, ManualClock, cached, carry};
use redis::cmd;
use serde::{Deserialize, Serialize};
use tests::{
    DEADLINE, Gate, RedisServer, eventually, in_memory, on_each_backend, on_redis, redis_builder,
    within,
};

/// Stands for the database: counts its queries, and every answer is a new one.
#[derive(Default)]
struct Db(AtomicU64);

impl Db {
    fn query(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }

    fn queries(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct DbError;

#[cached(key = "item:<id>", ttl = 60)]
async fn item(db: &Db, id: u64) -> u64 {
    id * 1000 + db.query()
}

mod hits {
    use super::*;

    #[tokio::test]
    async fn a_value_is_loaded_once_and_hit_from_then_on() {
        on_each_backend(async |cache| {
            let db = Db::default();
            for _ in 0..3 {
                assert_eq!(item(&db, 7).await, 7000);
            }
            assert_eq!(db.queries(), 1);
            let stats = cache.stats().function(item::SPEC);
            assert_eq!((stats.hits, stats.misses, stats.loads), (2, 1, 1));
        })
        .await;
    }

    #[tokio::test]
    async fn other_arguments_have_other_entries() {
        on_each_backend(async |_| {
            let db = Db::default();
            assert_eq!((item(&db, 1).await, item(&db, 2).await), (1000, 2001));
            assert_eq!((item(&db, 1).await, item(&db, 2).await), (1000, 2001));
        })
        .await;
    }

    #[tokio::test]
    async fn a_hit_on_redis_is_one_read_and_nothing_else() {
        let server = RedisServer::start().await;
        let (cache, db) = (on_redis(&server).await, Db::default());
        cache.scope(item(&db, 1)).await;
        server.forget_calls().await;
        cache.scope(item(&db, 1)).await;
        let mut calls = server.calls().await;
        // What connecting to ask takes.
        calls.retain(|name, _| {
            ![
                "info",
                "hello",
                "client|setinfo",
                "config|resetstat",
                "ping",
            ]
            .contains(&name.as_str())
        });
        assert_eq!(
            calls.into_iter().collect::<Vec<_>>(),
            [("mget".to_owned(), 1)]
        );
    }

    #[tokio::test]
    async fn what_one_process_loads_another_hits() {
        let server = RedisServer::start().await;
        let (one, other, db) = (
            on_redis(&server).await,
            on_redis(&server).await,
            Db::default(),
        );
        assert_eq!(one.scope(item(&db, 1)).await, 1000);
        assert_eq!(other.scope(item(&db, 1)).await, 1000);
        assert_eq!(other.stats().function(item::SPEC).hits, 1);
    }

    #[tokio::test]
    async fn namespaces_of_one_server_do_not_see_each_other() {
        let (server, db) = (RedisServer::start().await, Db::default());
        for namespace in ["a", "b", "a:b", "", "{a}"] {
            let cache = redis_builder(&server)
                .namespace(namespace)
                .build()
                .await
                .unwrap();
            cache.scope(item(&db, 1)).await;
            assert_eq!(
                cache.stats().function(item::SPEC).misses,
                1,
                "{namespace:?}"
            );
        }
    }

    #[tokio::test]
    async fn large_values_are_cached() {
        #[cached(key = "page:<id>")]
        async fn page(db: &Db, id: u64) -> (String, Vec<u64>) {
            (
                format!("{id}{}", "ü".repeat(2 << 20)),
                vec![db.query(); 1 << 18],
            )
        }
        on_each_backend(async |_| {
            let db = Db::default();
            let first = page(&db, 1).await;
            assert!(page(&db, 1).await == first);
            assert_eq!(db.queries(), 1);
        })
        .await;
    }
}

mod ttl {
    use super::*;

    #[cached(key = "by-default:<id>")]
    async fn by_default(db: &Db, id: u64) -> u64 {
        id * 1000 + db.query()
    }

    #[cached(key = "short:<id>", ttl = "60ms")]
    async fn short(db: &Db, id: u64) -> u64 {
        id * 1000 + db.query()
    }

    #[cached(key = "hour:<id>", ttl = "1h30m")]
    async fn hour_and_a_half(db: &Db, id: u64) -> u64 {
        id * 1000 + db.query()
    }

    const MS: Duration = Duration::from_millis(1);

    /// Loads, looks one millisecond before the TTL is over, and when it is.
    async fn lives_exactly(
        cache: &Cache,
        clock: &ManualClock,
        ttl: Duration,
        call: impl AsyncFn() -> u64,
    ) {
        cache
            .scope(async {
                let loaded = call().await;
                clock.advance(ttl - MS);
                assert_eq!(call().await, loaded, "a millisecond before {ttl:?}");
                clock.advance(MS);
                let again = call().await;
                assert_ne!(again, loaded, "at {ttl:?}");
                clock.advance(ttl - MS);
                assert_eq!(
                    call().await,
                    again,
                    "a hit does not extend the TTL, a load does"
                );
            })
            .await;
    }

    #[tokio::test]
    async fn an_entry_lives_exactly_as_long_as_its_ttl() {
        let (clock, db) = (ManualClock::new(), Db::default());
        let cache = Cache::builder().clock(&clock).build().await.unwrap();
        lives_exactly(&cache, &clock, Duration::from_secs(60), async || {
            item(&db, 1).await
        })
        .await;
        lives_exactly(&cache, &clock, Duration::from_millis(60), async || {
            short(&db, 1).await
        })
        .await;
        lives_exactly(&cache, &clock, Duration::from_secs(5400), async || {
            hour_and_a_half(&db, 1).await
        })
        .await;
    }

    #[tokio::test]
    async fn a_function_without_a_ttl_has_that_of_the_cache_and_300_seconds_where_none_is_set() {
        let (clock, db) = (ManualClock::new(), Db::default());
        let builder = || Cache::builder().clock(&clock);
        let call = async || by_default(&db, 1).await;
        let plain = builder().build().await.unwrap();
        lives_exactly(&plain, &clock, Duration::from_secs(300), call).await;
        let in_seconds = builder().default_ttl(7).build().await.unwrap();
        lives_exactly(&in_seconds, &clock, Duration::from_secs(7), call).await;
        let in_millis = builder()
            .default_ttl(Duration::from_millis(1500))
            .build()
            .await
            .unwrap();
        lives_exactly(&in_millis, &clock, Duration::from_millis(1500), call).await;
        // The function's own goes before.
        lives_exactly(&in_seconds, &clock, Duration::from_secs(60), async || {
            item(&db, 1).await
        })
        .await;
    }

    #[tokio::test]
    async fn redis_is_told_the_ttl_to_the_millisecond() {
        let (server, db) = (RedisServer::start().await, Db::default());
        let cache = redis_builder(&server)
            .default_ttl(Duration::from_millis(123_456))
            .build()
            .await
            .unwrap();
        cache
            .scope(async {
                (
                    item(&db, 1).await,
                    by_default(&db, 1).await,
                    hour_and_a_half(&db, 1).await,
                )
            })
            .await;
        for (name, ttl) in [
            ("item:1", 60_000),
            ("by-default:1", 123_456),
            ("hour:1", 5_400_000),
        ] {
            let left: u64 = server
                .query(cmd("PTTL").arg(format!("{{cache:{name}}}")))
                .await;
            assert!(
                left <= ttl && left + DEADLINE.as_millis() as u64 > ttl,
                "{name}: {left} of {ttl}"
            );
        }
    }

    #[tokio::test]
    async fn an_entry_on_redis_is_loaded_again_after_its_ttl() {
        let (server, db) = (RedisServer::start().await, Db::default());
        let cache = on_redis(&server).await;
        let first = cache.scope(short(&db, 1)).await;
        eventually(DEADLINE, || async {
            cache.scope(short(&db, 1)).await != first
        })
        .await;
    }
}

mod what_is_not_stored {
    use super::*;

    type DbResult<T> = Result<T, DbError>;
    type Loaded = Result<u64, DbError>;
    type Maybe<T> = Option<T>;
    type MaybeId = Option<u64>;
    type Deep<T> = DbResult<Maybe<T>>;

    /// The first answer, and then another.
    fn then<T>(db: &Db, first: T, other: T) -> T {
        if db.query() == 0 { first } else { other }
    }

    macro_rules! loaders {
        ($($name:ident -> $result:ty, $key:tt;)*) => {$(
            #[cached(key = $key)]
            async fn $name(db: &Db, first: $result, other: $result) -> $result {
                then(db, first, other)
            }
        )*};
    }
    loaders! {
        option -> Option<u64>, "option";
        option_alias -> Maybe<u64>, "option-alias";
        option_plain_alias -> MaybeId, "option-plain-alias";
        result -> Result<u64, DbError>, "result";
        result_alias -> DbResult<u64>, "result-alias";
        result_plain_alias -> Loaded, "result-plain-alias";
        both -> Result<Option<u64>, DbError>, "both";
        both_alias -> Deep<u64>, "both-alias";
        boxed -> Result<u64, Arc<str>>, "boxed";
    }

    /// The function answers `first`, which must not be stored; then `stored`, which must.
    macro_rules! never_stored {
        ($($name:ident: $first:expr, $stored:expr;)*) => {
            on_each_backend(async |cache| {$(
                let db = Db::default();
                assert_eq!($name(&db, $first, $stored).await, $first, stringify!($name));
                assert_eq!($name::peek().await, None, stringify!($name));
                assert_eq!($name(&db, $first, $stored).await, $stored, stringify!($name));
                assert_eq!($name(&db, $first, $stored).await, $stored, stringify!($name));
                assert_eq!(db.queries(), 2, stringify!($name));
                assert_eq!(cache.stats().function($name::SPEC).hits, 1, stringify!($name));
                $name::invalidate().await.unwrap();
            )*})
            .await;
        };
    }

    #[tokio::test]
    async fn none_is_not_stored_by_whatever_name_option_goes() {
        never_stored! {
            option: None, Some(1);
            option_alias: None, Some(1);
            option_plain_alias: None, Some(1);
            both: Ok(None), Ok(Some(1));
            both_alias: Ok(None), Ok(Some(1));
        }
    }

    #[tokio::test]
    async fn an_error_is_not_stored_by_whatever_name_result_goes() {
        never_stored! {
            result: Err(DbError), Ok(1);
            result_alias: Err(DbError), Ok(1);
            result_plain_alias: Err(DbError), Ok(1);
            both: Err(DbError), Ok(Some(1));
            both_alias: Err(DbError), Ok(Some(1));
            boxed: Err("gone".into()), Ok(1);
        }
    }

    #[tokio::test]
    async fn a_type_that_only_has_the_name_is_a_value_like_any_other() {
        mod own {
            use super::super::*;

            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub(super) enum Option<T> {
                None,
                Some(T),
            }

            #[cached(key = "own")]
            pub(super) async fn load(db: &Db) -> Option<u64> {
                if db.query() == 0 {
                    Option::None
                } else {
                    Option::Some(1)
                }
            }
        }
        on_each_backend(async |_| {
            let db = Db::default();
            assert_eq!(own::load(&db).await, own::Option::None);
            assert_eq!(own::load(&db).await, own::Option::None);
        })
        .await;
    }
}

mod shared_values {
    use super::*;

    type Found = Result<Option<Arc<User>>, DbError>;

    fn user(db: &Db) -> Arc<User> {
        Arc::new(User {
            id: db.query(),
            name: "Ada".into(),
        })
    }

    #[cached(key = "plain")]
    async fn plain(db: &Db) -> Arc<User> {
        user(db)
    }

    #[cached(key = "option")]
    async fn option(db: &Db) -> Option<Arc<User>> {
        Some(user(db))
    }

    #[cached(key = "both")]
    async fn both(db: &Db) -> Found {
        Ok(Some(user(db)))
    }

    #[tokio::test]
    async fn in_memory_a_hit_on_an_arc_is_the_very_value_that_was_loaded() {
        let (cache, db) = (in_memory().await, Db::default());
        cache
            .scope(async {
                assert!(Arc::ptr_eq(&plain(&db).await, &plain(&db).await));
                assert!(Arc::ptr_eq(
                    &option(&db).await.unwrap(),
                    &option(&db).await.unwrap()
                ));
                let first = both(&db).await.unwrap().unwrap();
                assert!(Arc::ptr_eq(&first, &both(&db).await.unwrap().unwrap()));
                assert!(Arc::ptr_eq(
                    &first,
                    &both::peek().await.unwrap().unwrap().unwrap()
                ));
                let put = user(&db);
                plain::put(Arc::clone(&put)).await.unwrap();
                assert!(Arc::ptr_eq(&put, &plain(&db).await));
            })
            .await;
    }

    #[tokio::test]
    async fn in_memory_those_who_wait_get_the_very_value_that_was_loaded() {
        #[cached(key = "slow")]
        async fn slow(gate: Gate) -> Arc<User> {
            gate.pass().await;
            user(&Db::default())
        }
        let (cache, gate) = (in_memory().await, Gate::new());
        cache
            .scope(async {
                let calls: Vec<_> = (0..8)
                    .map(|_| tokio::spawn(carry(slow(gate.clone()))))
                    .collect();
                gate.arrived(1).await;
                gate.open();
                let mut users = Vec::new();
                for call in calls {
                    users.push(within(call).await.unwrap());
                }
                assert!(users.iter().all(|user| Arc::ptr_eq(user, &users[0])));
            })
            .await;
    }

    #[tokio::test]
    async fn on_redis_a_hit_on_an_arc_is_an_equal_value() {
        let server = RedisServer::start().await;
        let (cache, db) = (on_redis(&server).await, Db::default());
        cache
            .scope(async {
                assert_eq!(plain(&db).await, plain(&db).await);
                assert_eq!(both(&db).await, both(&db).await);
                assert_eq!(db.queries(), 2);
            })
            .await;
    }
}

mod default_keys {
    use super::*;

    #[cached]
    async fn named(left: u64, right: &str) -> String {
        format!("{left}{right}")
    }

    #[cached(skip(db, trace))]
    async fn skipping(db: &Db, id: u64, trace: f64) -> u64 {
        let _ = trace;
        id * 1000 + db.query()
    }

    mod here {
        #[cache_runtime::cached]
        pub(super) async fn load(id: u64) -> String {
            format!("here {id}")
        }
    }

    mod there {
        #[cache_runtime::cached]
        pub(super) async fn load(id: u64) -> String {
            format!("there {id}")
        }
    }

    struct Cats;
    struct Dogs;

    impl Cats {
        #[cached(skip(self))]
        async fn get(&self, id: u64) -> String {
            format!("cat {id}")
        }
    }

    impl Dogs {
        #[cached(skip(self))]
        async fn get(&self, id: u64) -> String {
            format!("dog {id}")
        }
    }

    trait Animals {
        async fn any(&self, id: u64) -> String;
    }

    impl Animals for Cats {
        #[cached(skip(self))]
        async fn any(&self, id: u64) -> String {
            format!("any cat {id}")
        }
    }

    impl Animals for Dogs {
        #[cached(skip(self))]
        async fn any(&self, id: u64) -> String {
            format!("any dog {id}")
        }
    }

    async fn nested_one(id: u64) -> String {
        #[cached]
        async fn load(id: u64) -> String {
            format!("one {id}")
        }
        load(id).await
    }

    async fn nested_two(id: u64) -> String {
        #[cached]
        async fn load(id: u64) -> String {
            format!("two {id}")
        }
        load(id).await
    }

    #[test]
    fn the_default_key_is_the_path_of_the_function_and_every_argument() {
        let key = named::key(7, "x").to_string();
        assert!(key.starts_with("cached::default_keys::named:"), "{key}");
        assert_ne!(named::key(7, "x"), named::key(8, "x"));
        assert_ne!(named::key(7, "x"), named::key(7, "y"));
        assert_eq!(named::key(7, "x"), named::key(7, "x"));
    }

    #[tokio::test]
    async fn skipped_arguments_are_not_part_of_it() {
        on_each_backend(async |_| {
            let (one, other) = (Db::default(), Db::default());
            assert_eq!(skipping(&one, 1, 0.5).await, 1000);
            assert_eq!(skipping(&other, 1, f64::NAN).await, 1000);
            assert_eq!(skipping(&other, 2, 0.5).await, 2000);
            assert_eq!((one.queries(), other.queries()), (1, 1));
        })
        .await;
    }

    #[tokio::test]
    async fn functions_of_one_name_have_entries_of_their_own_wherever_they_are() {
        on_each_backend(async |_| {
            for _ in 0..2 {
                assert_eq!(
                    (here::load(1).await, there::load(1).await),
                    ("here 1".into(), "there 1".into())
                );
                assert_eq!(
                    (nested_one(1).await, nested_two(1).await),
                    ("one 1".into(), "two 1".into())
                );
                assert_eq!(
                    (Cats.get(1).await, Dogs.get(1).await),
                    ("cat 1".into(), "dog 1".into())
                );
                assert_eq!(
                    (Cats.any(1).await, Dogs.any(1).await),
                    ("any cat 1".into(), "any dog 1".into())
                );
            }
        })
        .await;
    }
}

mod generics {
    use super::*;

    trait Row: cache_runtime::CacheValue {
        fn make(id: u64) -> Self;
    }

    macro_rules! rows {
        ($($name:ident)*) => {$(
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            struct $name {
                id: u64,
                name: String,
            }
            impl Row for $name {
                fn make(id: u64) -> Self {
                    Self { id, name: stringify!($name).into() }
                }
            }
        )*};
    }
    rows!(Cat Dog);

    #[cached]
    async fn load<T: Row>(id: u64) -> T {
        T::make(id)
    }

    #[cached(key = "row:<id>")]
    async fn sharing<T: Row>(id: u64) -> T {
        T::make(id)
    }

    #[cached(skip(db))]
    async fn sized<const N: usize>(db: &Db) -> Vec<u64> {
        vec![db.query(); N]
    }

    #[cached(key = "sized:<N>")]
    async fn sized_by_template<const N: u64>(db: &Db) -> u64 {
        N * 1000 + db.query()
    }

    #[tokio::test]
    async fn each_type_of_a_generic_function_has_entries_of_its_own() {
        on_each_backend(async |_| {
            for _ in 0..2 {
                assert_eq!(
                    (load::<Cat>(1).await, load::<Dog>(1).await),
                    (Cat::make(1), Dog::make(1))
                );
            }
        })
        .await;
    }

    #[tokio::test]
    async fn types_that_share_a_template_never_get_each_others_values() {
        on_each_backend(async |cache| {
            for _ in 0..3 {
                assert_eq!(
                    (sharing::<Cat>(1).await, sharing::<Dog>(1).await),
                    (Cat::make(1), Dog::make(1))
                );
            }
            assert_eq!(
                cache.stats().function(sharing::SPEC).hits,
                0,
                "they replace each other"
            );
        })
        .await;
    }

    #[tokio::test]
    async fn const_generics_are_part_of_the_key() {
        on_each_backend(async |_| {
            let (db, other) = (Db::default(), Db::default());
            for _ in 0..2 {
                assert_eq!(
                    (sized::<1>(&other).await, sized::<2>(&other).await),
                    (vec![0], vec![1, 1])
                );
                assert_eq!(
                    (
                        sized_by_template::<1>(&db).await,
                        sized_by_template::<2>(&db).await
                    ),
                    (1000, 2001)
                );
            }
        })
        .await;
    }
}

mod which_cache {
    use super::*;

    #[cached(key = "given:<id>", cache = cache)]
    async fn given(cache: &Cache, db: &Db, id: u64) -> u64 {
        id * 1000 + db.query()
    }

    struct Shop {
        cache: Cache,
        db: Db,
    }

    impl AsRef<Cache> for Shop {
        fn as_ref(&self) -> &Cache {
            &self.cache
        }
    }

    impl Shop {
        #[cached(key = "stock:<id>", cache = self.cache)]
        async fn stock(&self, id: u64) -> u64 {
            id * 1000 + self.db.query()
        }
    }

    #[cached(key = "price:<id>", cache = shop)]
    async fn price(shop: &Shop, id: u64) -> u64 {
        id * 1000 + shop.db.query()
    }

    #[tokio::test]
    async fn a_function_that_names_its_cache_uses_no_other() {
        on_each_backend(async |scope| {
            let (own, db) = (in_memory().await, Db::default());
            assert_eq!(given(&own, &db, 1).await, 1000);
            assert_eq!(given(&own, &db, 1).await, 1000);
            assert_eq!(given(&scope, &db, 1).await, 1001);
            assert_eq!(own.stats().function(given::SPEC).hits, 1);
            given::put(&own, 1, 5).await.unwrap();
            assert_eq!(
                (given::peek(&own, 1).await, given::peek(&scope, 1).await),
                (Some(5), Some(1001))
            );
            given::invalidate(&own, 1).await.unwrap();
            assert_eq!(
                (given::peek(&own, 1).await, given::peek(&scope, 1).await),
                (None, Some(1001))
            );

            let shop = Shop { cache: own, db };
            assert_eq!((shop.stock(1).await, shop.stock(1).await), (1002, 1002));
            assert_eq!((price(&shop, 1).await, price(&shop, 1).await), (1003, 1003));
            assert!(
                scope.stats().named("stock").is_none() && scope.stats().named("price").is_none()
            );
        })
        .await;
    }
}

mod companion {
    use super::*;

    #[cached(key = "user:<id>", ttl = 60, schema = 3)]
    async fn user(db: &Db, id: u64) -> Result<Option<String>, DbError> {
        Ok(Some(format!("{id}.{}", db.query())))
    }

    fn found(name: &str) -> Result<Option<String>, DbError> {
        Ok(Some(name.to_owned()))
    }

    #[test]
    fn spec_says_what_the_annotation_says() {
        let spec = user::SPEC;
        assert_eq!(
            (spec.name(), spec.module(), spec.template()),
            ("user", "cached::companion", "user:<id>")
        );
        assert_eq!(
            (spec.ttl(), spec.schema_number()),
            (Some(Duration::from_secs(60)), 3)
        );
        assert!(spec.file().ends_with("cached.rs") && spec.line() > 1);
        assert_eq!(user::key(7), "user:7");
    }

    #[tokio::test]
    async fn peek_loads_nothing_and_counts_nothing() {
        on_each_backend(async |cache| {
            let db = Db::default();
            assert_eq!(user::peek(1).await, None);
            user(&db, 1).await.unwrap();
            assert_eq!(user::peek(1).await, Some(found("1.0")));
            let stats = cache.stats().function(user::SPEC);
            assert_eq!((db.queries(), stats.hits, stats.misses), (1, 0, 1));
        })
        .await;
    }

    #[tokio::test]
    async fn put_stores_a_value_or_the_whole_of_a_result() {
        on_each_backend(async |_| {
            let db = Db::default();
            user::put(1, "plain".to_owned()).await.unwrap();
            user::put(2, found("whole")).await.unwrap();
            user::put(2, found("newer")).await.unwrap();
            assert_eq!(
                (user(&db, 1).await, user(&db, 2).await),
                (found("plain"), found("newer"))
            );
            assert_eq!(db.queries(), 0);
        })
        .await;
    }

    #[tokio::test]
    async fn putting_none_or_an_error_removes_what_is_there() {
        on_each_backend(async |_| {
            for nothing in [Ok(None), Err(DbError)] {
                user::put(1, "there".to_owned()).await.unwrap();
                user::put(1, nothing).await.unwrap();
                assert_eq!(user::peek(1).await, None);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_put_has_the_functions_ttl() {
        let clock = ManualClock::new();
        let cache = Cache::builder().clock(&clock).build().await.unwrap();
        cache
            .scope(async {
                user::put(1, "put".to_owned()).await.unwrap();
                clock.advance(Duration::from_millis(59_999));
                assert!(user::peek(1).await.is_some());
                clock.advance(Duration::from_millis(1));
                assert!(user::peek(1).await.is_none());
            })
            .await;
    }

    #[tokio::test]
    async fn invalidate_removes_one_entry() {
        on_each_backend(async |_| {
            let db = Db::default();
            user(&db, 1).await.unwrap();
            user(&db, 2).await.unwrap();
            user::invalidate(1).await.unwrap();
            assert!(user::peek(1).await.is_none() && user::peek(2).await.is_some());
        })
        .await;
    }

    #[tokio::test]
    async fn refresh_loads_on_a_hit_and_stores_what_it_loads() {
        on_each_backend(async |cache| {
            let db = Db::default();
            assert_eq!(user(&db, 1).await, found("1.0"));
            assert_eq!(user::refresh(&db, 1).await, found("1.1"));
            assert_eq!(user(&db, 1).await, found("1.1"));
            assert_eq!(user::refresh(&db, 2).await, found("2.2"));
            assert_eq!(user(&db, 2).await, found("2.2"));
            let stats = cache.stats().function(user::SPEC);
            assert_eq!((stats.hits, stats.loads), (2, 3));
        })
        .await;
    }

    #[tokio::test]
    async fn refresh_leaves_what_the_function_calls_alone() {
        #[cached(key = "outer:<id>")]
        async fn outer(db: &Db, id: u64) -> (u64, u64) {
            let inner = item(db, id).await;
            (
                inner,
                if id > 1 {
                    Box::pin(outer(db, id - 1)).await.0
                } else {
                    db.query()
                },
            )
        }
        on_each_backend(async |_| {
            let db = Db::default();
            let first = outer(&db, 2).await;
            let before = db.queries();
            assert_eq!(outer::refresh(&db, 2).await, first);
            assert_eq!(db.queries(), before, "the calls inside are hits");
        })
        .await;
    }

    #[tokio::test]
    async fn a_refresh_that_fails_leaves_the_old_value() {
        #[cached(key = "flaky")]
        async fn flaky(db: &Db) -> Result<u64, DbError> {
            if db.query() == 0 { Ok(1) } else { Err(DbError) }
        }
        on_each_backend(async |_| {
            let db = Db::default();
            assert_eq!(flaky(&db).await, Ok(1));
            assert_eq!(flaky::refresh(&db).await, Err(DbError));
            assert_eq!(flaky(&db).await, Ok(1));
        })
        .await;
    }
}

mod foreign_values {
    use super::*;

    #[cached(key = "shared")]
    async fn text() -> String {
        "text".into()
    }

    #[cached(key = "shared")]
    async fn number() -> u64 {
        7
    }

    #[cached(key = "shared", schema = 1)]
    async fn text_of_schema_1() -> String {
        "other text".into()
    }

    #[tokio::test]
    async fn a_value_of_another_type_under_the_key_is_a_miss_and_is_replaced() {
        on_each_backend(async |cache| {
            assert_eq!(text().await, "text");
            assert_eq!(number::peek().await, None);
            assert_eq!(number().await, 7);
            assert_eq!(number().await, 7);
            assert_eq!(text().await, "text");
            let stats = cache.stats().function(number::SPEC);
            assert_eq!((stats.hits, stats.misses), (1, 1));
            assert!(stats.unreadable > 0);
        })
        .await;
    }

    #[tokio::test]
    async fn a_new_schema_number_discards_the_entries_of_the_old_one_on_redis() {
        let server = RedisServer::start().await;
        let (before, after) = (on_redis(&server).await, on_redis(&server).await);
        before.scope(text()).await;
        assert_eq!(after.scope(text_of_schema_1()).await, "other text");
        assert_eq!(after.scope(text_of_schema_1()).await, "other text");
        let stats = after.stats().function(text_of_schema_1::SPEC);
        assert_eq!((stats.hits, stats.misses), (1, 1));
        assert!(stats.unreadable > 0);
    }
}

mod calls_that_do_not_end {
    use super::*;

    #[cached(key = "slow:<id>")]
    async fn slow(db: Arc<Db>, gate: Gate, id: u64) -> u64 {
        let answer = id * 1000 + db.query();
        gate.pass().await;
        answer
    }

    #[cached(key = "panics:<id>")]
    async fn panics(db: Arc<Db>, gate: Gate, id: u64) -> u64 {
        let query = db.query();
        gate.pass().await;
        assert!(query > 0, "the loader's own words");
        id * 1000 + query
    }

    #[tokio::test]
    async fn a_dropped_call_stores_nothing_and_holds_nobody_up() {
        on_each_backend(async |_| {
            let (db, gate) = (Arc::new(Db::default()), Gate::new());
            let call = tokio::spawn(carry(slow(db.clone(), gate.clone(), 1)));
            gate.arrived(1).await;
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
            gate.open();
            // A lease that was not given back would hold this up until the test fails.
            assert_eq!(within(slow(db.clone(), gate.clone(), 1)).await, 1001);
            assert_eq!(slow(db, gate, 1).await, 1001);
        })
        .await;
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_before_it_is_polled_does_nothing() {
        on_each_backend(async |cache| {
            let (db, gate) = (Arc::new(Db::default()), Gate::new());
            drop(slow(db.clone(), gate.clone(), 1));
            assert_eq!(db.queries(), 0);
            assert_eq!(cache.stats().function(slow::SPEC).misses, 0);
        })
        .await;
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller_as_it_is_and_leaves_nothing_behind() {
        on_each_backend(async |cache| {
            let (db, gate) = (Arc::new(Db::default()), Gate::new());
            gate.open();
            let panic = tokio::spawn(carry(panics(db.clone(), gate.clone(), 1)))
                .await
                .unwrap_err()
                .into_panic();
            let words = panic.downcast_ref::<&str>().copied().unwrap_or_default();
            assert_eq!(words, "the loader's own words");
            assert_eq!(panics::peek(1).await, None);
            assert_eq!(within(panics(db.clone(), gate.clone(), 1)).await, 1001);
            assert_eq!(within(panics(db, gate, 1)).await, 1001);
            let stats = cache.stats().function(panics::SPEC);
            assert_eq!((stats.hits, stats.misses, stats.loads), (1, 2, 2));
        })
        .await;
    }

    #[tokio::test]
    async fn nothing_of_a_failed_load_stays_on_redis() {
        #[cached(key = "absent")]
        async fn absent() -> Option<u64> {
            None
        }
        #[cached(key = "failed")]
        async fn failed() -> Result<u64, DbError> {
            Err(DbError)
        }
        let server = RedisServer::start().await;
        let cache = on_redis(&server).await;
        let (db, gate) = (Arc::new(Db::default()), Gate::new());
        cache
            .scope(async {
                absent().await;
                failed().await.unwrap_err();
                let dropped = tokio::spawn(carry(slow(db.clone(), gate.clone(), 1)));
                gate.arrived(1).await;
                dropped.abort();
                gate.open();
                tokio::spawn(carry(panics(Arc::default(), gate, 1)))
                    .await
                    .unwrap_err();
            })
            .await;
        eventually(DEADLINE, || async { server.entries().await.is_empty() }).await;
    }
}
