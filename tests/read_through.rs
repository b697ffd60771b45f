//! Read-through: loaders that the cache knows, handed what their callers do not have, and run from their keys alone.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_runtime::{
    Cache, CacheBuilder, Error, FromKeyPart, GetError, KeyPart, KeyText, KeyWriter, ManualClock,
    Pattern, cached, invalidates,
};
use serde::{Deserialize, Serialize};
use tests::{DEADLINE, Gate, PATIENCE, RedisServer, eventually, within};

/// A database that counts its queries.
#[derive(Clone, Default)]
struct Db {
    queries: Arc<AtomicU64>,
    gate: Option<Gate>,
}

impl Db {
    async fn query(&self) {
        self.queries.fetch_add(1, SeqCst);
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
    }

    fn queries(&self) -> u64 {
        self.queries.load(SeqCst)
    }
}

/// A prefix, to be handed in by value.
#[derive(Clone)]
struct Greeting(&'static str);

#[derive(Debug)]
enum DbError {
    Cache(Error),
    Down(u64),
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cache(error) => error.fmt(f),
            Self::Down(id) => write!(f, "row {id} cannot be read"),
        }
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

/// Row 0 is not there, and row 13 cannot be read.
#[cached(pattern = "read-through", key = "user:<id>", ttl = 300)]
async fn load_user(#[context] db: &Db, id: u64) -> Result<Option<User>, DbError> {
    db.query().await;
    match id {
        0 => Ok(None),
        13 => Err(DbError::Down(id)),
        _ => Ok(Some(User {
            id,
            name: format!("user {id}"),
        })),
    }
}

/// Two contexts, one by value and one in the middle, and arguments in another order than in the key.
#[cached(pattern = "read-through", key = "greet:<name>:<formal>", ttl = 300)]
async fn greet(
    #[context] greeting: Greeting,
    formal: bool,
    #[context] db: &Db,
    name: &str,
) -> Result<Arc<String>, DbError> {
    db.query().await;
    let greeting = if formal { "Good day" } else { greeting.0 };
    Ok(Arc::new(format!("{greeting}, {name}!")))
}

/// No context, no argument, no `Result`.
#[cached(pattern = "read-through", key = "config", ttl = 300)]
async fn config() -> u64 {
    7
}

#[derive(Clone, Debug, PartialEq)]
struct Sku {
    maker: u32,
    number: String,
}

impl KeyPart for Sku {
    fn write_key(&self, key: &mut KeyWriter) {
        (self.maker, &self.number).write_key(key);
    }
}

impl FromKeyPart for Sku {
    fn from_key(text: KeyText<'_>) -> Option<Self> {
        let (maker, number) = text.parse()?;
        Some(Self { maker, number })
    }
}

#[cached(
    pattern = "read-through",
    key = "odd:<sku>:<ids>-x:<set>:<none>:<number>:<sku>",
    ttl = 300
)]
async fn odd(
    sku: &Sku,
    ids: &[u8],
    set: BTreeSet<i8>,
    none: Option<u8>,
    number: NonZero<u64>,
) -> String {
    format!("{sku:?} {ids:?} {set:?} {none:?} {number}")
}

/// The parts of the next two overlap in `pair:x:…`.
#[cached(pattern = "read-through", key = "pair:<a>:<b>", ttl = 300)]
async fn pair(a: &str, b: u8) -> String {
    format!("{a} {b}")
}

#[cached(pattern = "read-through", key = "pair:x:<b>", ttl = 300)]
async fn pair_of_x(b: String) -> String {
    b
}

/// Never provided.
#[derive(Clone)]
struct Absent;

/// Is never run by the caches of this program, and none of them is asked for what it needs.
#[allow(dead_code)]
#[cached(
    pattern = "read-through",
    key = "elsewhere:<id>",
    ttl = 300,
    cache = Cache::current()
)]
async fn elsewhere(#[context] _absent: &Absent, id: u64) -> Result<u64, DbError> {
    Ok(id)
}

/// Calls another cached function.
#[cached(pattern = "read-through", key = "outer:<id>", ttl = 300)]
async fn outer(id: u64) -> Result<u64, DbError> {
    Ok(load_user(id).await?.map_or(0, |user| user.id))
}

/// No read-through, of a template of its own.
#[cached(key = "beside:<id>", ttl = 300)]
async fn beside(id: u64) -> u64 {
    id
}

/// An old value rather than an error.
#[cached(
    pattern = "read-through",
    key = "kept:<id>",
    ttl = 60,
    stale_if_error = "1h",
    negative_ttl = 30
)]
async fn kept(#[context] db: &Db, id: u64) -> Result<Option<u64>, DbError> {
    db.query().await;
    match db.queries() {
        1 => Ok(Some(id)),
        _ => Err(DbError::Down(id)),
    }
}

#[cached(pattern = "read-through", key = "slow:<id>", ttl = 60, timeout = "5s")]
async fn slow(#[context] db: &Db, id: u64) -> Result<u64, DbError> {
    db.query().await;
    Ok(id)
}

/// Tags of an argument, and of the result.
#[cached(
    pattern = "read-through",
    key = "tagged:<org>:<id>",
    ttl = 300,
    tags = ["org:<org>", "name:<org>:<return.name>"]
)]
async fn tagged(#[context] db: &Db, org: &str, id: u64) -> Result<User, DbError> {
    db.query().await;
    let name = format!("{org} {id}");
    Ok(User { id, name })
}

fn builder(db: &Db) -> CacheBuilder {
    Cache::builder().provide(db.clone()).provide(Greeting("Hi"))
}

async fn provided(db: &Db) -> Cache {
    builder(db).build().await.unwrap()
}

/// A test on each backend, with the database that the cache was given.
async fn on_both(test: impl AsyncFn(Cache, Db)) {
    let db = Db::default();
    within(test(provided(&db).await, db)).await;
    let server = RedisServer::start().await;
    let db = Db::default();
    let cache = builder(&db)
        .url(&server.url())
        .unwrap()
        .operation_timeout(PATIENCE);
    within(test(cache.build().await.unwrap(), db)).await;
}

#[tokio::test]
async fn a_loader_is_called_without_what_the_cache_hands_in() {
    on_both(async |cache, db| {
        cache
            .scope(async {
                let ada = load_user(1).await.unwrap().unwrap();
                assert_eq!(ada.name, "user 1");
                load_user(1).await.unwrap();
                assert_eq!(db.queries(), 1);
                assert_eq!(**greet(false, "Ada").await.unwrap(), *"Hi, Ada!");
                assert_eq!(**greet(true, "Ada").await.unwrap(), *"Good day, Ada!");
                assert_eq!(config().await, 7);
            })
            .await;
        let stats = cache.stats().function(load_user::SPEC);
        assert_eq!((stats.hits, stats.loads), (1, 1));
    })
    .await;
    assert_eq!(load_user::SPEC.pattern(), Pattern::ReadThrough);
}

#[tokio::test]
async fn the_companion_is_that_of_the_call() {
    let db = Db::default();
    let cache = provided(&db).await;
    let task = cache.scope(async {
        assert_eq!(load_user::key(42).as_str(), "user:42");
        assert_eq!(greet::key(true, "a:b").as_str(), "greet:a%3Ab:true");
        assert!(load_user::peek(1).await.is_none());
        load_user(1).await.unwrap();
        load_user::refresh(1).await.unwrap();
        assert_eq!(db.queries(), 2);
        load_user::invalidate(1).await.unwrap();
        assert!(load_user::peek(1).await.is_none());
        let bob = User {
            id: 1,
            name: "Bob".to_owned(),
        };
        load_user::put(1, bob.clone()).await.unwrap();
        assert_eq!(load_user(1).await.unwrap(), Some(bob));
        assert_eq!(db.queries(), 2);
    });
    task.await;
}

#[tokio::test]
async fn a_value_is_read_by_its_key() {
    on_both(async |cache, db| {
        let user = cache.get::<User>("user:42").await.unwrap().unwrap();
        assert_eq!(user.name, "user 42");
        // It is the entry of the call, and its figures are those of the function.
        cache.scope(load_user(42)).await.unwrap();
        cache.get::<User>("user:42").await.unwrap();
        let stats = cache.stats().function(load_user::SPEC);
        assert_eq!((stats.hits, stats.loads, db.queries()), (2, 1, 1));
        assert!(cache.get::<User>("user:0").await.unwrap().is_none());
        let greeting = cache.get::<Arc<String>>("greet:a%3Ab:true").await.unwrap();
        assert_eq!(*greeting.unwrap(), "Good day, a:b!");
        assert_eq!(cache.get::<u64>("config").await.unwrap(), Some(7));
    })
    .await;
}

#[tokio::test]
async fn every_kind_of_argument_comes_back_from_the_key() {
    let cache = provided(&Db::default()).await;
    let sku = Sku {
        maker: 7,
        number: "a,b:%".to_owned(),
    };
    let number = NonZero::new(9).unwrap();
    let set = BTreeSet::from([-1, 3]);
    let key = odd::key(&sku, &[1, 2], set.clone(), None, number);
    let by_key = cache.get::<String>(&key).await.unwrap().unwrap();
    let called = cache.scope(odd(&sku, &[1, 2], set, None, number)).await;
    assert_eq!(by_key, called);
    assert_eq!(cache.stats().function(odd::SPEC).loads, 1, "{key}");
    // The two places of one argument hold the same, or it is no key of this function.
    let other = key.as_str().replacen("%(7%,", "%(8%,", 1);
    assert!(matches!(
        cache.get::<String>(other).await,
        Err(GetError::NoLoader { .. })
    ));
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_told_why() {
    let cache = provided(&Db::default()).await;
    let error = async |key: &str| match cache.get::<User>(key).await {
        Err(error) => error.to_string(),
        Ok(value) => panic!("{key}: {value:?}"),
    };
    let here = |name: &str| format!("`{name}` (tests/read_through.rs:");
    for key in ["user:007", "user:x", "user:%37", "user:-1", "user:1 "] {
        let error = error(key).await;
        assert!(error.contains("it has the form of `load_user`"), "{error}");
    }
    let near = error("usr:42").await;
    assert!(near.contains("did you mean `user:<id>`"), "{near}");
    assert!(near.contains(&here("load_user")), "{near}");
    let aside = error("beside:1").await;
    assert!(aside.contains(&here("beside")), "{aside}");
    assert!(
        aside.contains("give it `pattern = \"read-through\"`"),
        "{aside}"
    );
    let far = error("something:else:entirely").await;
    assert!(
        far.ends_with("that `something:else:entirely` fits"),
        "{far}"
    );
    assert!(error("").await.contains("``"));
    let several = error("pair:x:1").await;
    assert!(several.contains(&here("pair")), "{several}");
    assert!(several.contains(&here("pair_of_x")), "{several}");
    // What is no `u8` is of one of them only.
    assert_eq!(cache.get::<String>("pair:x:z").await.unwrap().unwrap(), "z");
    let other = error("config").await;
    assert!(
        other.contains("whose value is `u64` and not `read_through::User`"),
        "{other}"
    );
}

#[tokio::test]
async fn the_error_of_a_loader_comes_with_its_type() {
    let cache = provided(&Db::default()).await;
    let error = cache.get::<User>("user:13").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`load_user` failed: row 13 cannot be read"
    );
    let GetError::Failed(failure) = error else {
        panic!("{error}")
    };
    assert_eq!(failure.function(), "load_user");
    let failure = failure.downcast::<String>().unwrap_err();
    assert!(matches!(failure.downcast(), Ok(DbError::Down(13))));
    // It fits into what applications pass errors on in, and into the cache's own.
    let boxed: Box<dyn std::error::Error + Send + Sync> =
        cache.get::<User>("user:13").await.unwrap_err().into();
    assert!(boxed.to_string().contains("row 13"));
    let own = Error::from(cache.get::<User>("user:13").await.unwrap_err());
    assert!(matches!(own, Error::Get(_)), "{own}");
}

#[tokio::test]
async fn get_is_on_its_own_cache_wherever_it_is_called() {
    let (db, elsewhere) = (Db::default(), Db::default());
    let cache = provided(&db).await;
    let other = provided(&elsewhere).await;
    let task = other.scope(async {
        cache.get::<User>("user:1").await.unwrap();
        // What the loader calls is on this cache too.
        assert_eq!(cache.get::<u64>("outer:2").await.unwrap(), Some(2));
    });
    task.await;
    assert_eq!((db.queries(), elsewhere.queries()), (2, 0));
}

#[tokio::test]
async fn many_who_ask_by_key_and_by_call_share_one_load() {
    let db = Db {
        gate: Some(Gate::new()),
        ..Db::default()
    };
    let cache = provided(&db).await;
    let mut tasks = tokio::task::JoinSet::new();
    for asker in 0..20 {
        let cache = cache.clone();
        tasks.spawn(async move {
            if asker % 2 == 0 {
                cache.get::<User>("user:1").await.unwrap().unwrap()
            } else {
                cache.scope(load_user(1)).await.unwrap().unwrap()
            }
        });
    }
    let gate = db.gate.clone().unwrap();
    gate.arrived(1).await;
    gate.open();
    within(tasks.join_all()).await;
    assert_eq!(db.queries(), 1);
}

#[tokio::test]
async fn an_invalidation_is_seen_by_its_key_and_a_late_load_is_not_stored() {
    #[invalidates("user:<id>")]
    async fn rename(id: u64) {}
    let gate = Gate::new();
    let db = Db {
        gate: Some(gate.clone()),
        ..Db::default()
    };
    let cache = provided(&db).await;
    let load = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get::<User>("user:1").await }
    });
    gate.arrived(1).await;
    cache.scope(rename(1)).await;
    gate.open();
    within(load).await.unwrap().unwrap();
    cache.get::<User>("user:1").await.unwrap();
    assert_eq!(db.queries(), 2);
}

#[tokio::test]
async fn a_tag_reaches_what_was_loaded_by_key() {
    #[invalidates(tags("org:<org>"))]
    async fn change_org(org: &str) {}
    on_both(async |cache, db| {
        let queries = async |key: &str| {
            cache.get::<User>(key).await.unwrap();
            db.queries()
        };
        assert_eq!(queries("tagged:a:1").await, 1);
        assert_eq!(queries("tagged:b:1").await, 2);
        cache.scope(change_org("a")).await;
        assert_eq!(queries("tagged:b:1").await, 2);
        assert_eq!(queries("tagged:a:1").await, 3);
        let call = cache.scope(tagged("a", 1)).await.unwrap();
        assert_eq!((call.name.as_str(), db.queries()), ("a 1", 3));
        cache.invalidate_tag("name:a:a 1").await.unwrap();
        assert_eq!(queries("tagged:a:1").await, 4);
        assert_eq!(queries("tagged:a:1").await, 4);
    })
    .await;
}

#[tokio::test]
async fn a_cache_without_a_context_is_not_built() {
    let error = Cache::builder()
        .provide(Db::default())
        .build()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("context of `greet` (tests/read_through.rs:"),
        "{text}"
    );
    assert!(text.contains("it needs `read_through::Greeting`"), "{text}");
    assert!(text.contains("Cache::builder().provide(…)"), "{text}");
    assert!(text.contains(".loaders(false)"), "{text}");
}

#[tokio::test]
async fn without_loaders_hits_are_served_and_loads_say_what_is_missing() {
    let server = RedisServer::start().await;
    let db = Db::default();
    let full = builder(&db)
        .url(&server.url())
        .unwrap()
        .operation_timeout(PATIENCE);
    full.build()
        .await
        .unwrap()
        .scope(load_user(1))
        .await
        .unwrap();

    let cache = Cache::builder()
        .url(&server.url())
        .unwrap()
        .operation_timeout(PATIENCE);
    let cache = cache.loaders(false).build().await.unwrap();
    let hit = cache.scope(load_user(1)).await.unwrap().unwrap();
    assert_eq!(hit.name, "user 1");
    assert!(cache.get::<User>("user:1").await.unwrap().is_some());
    let error = cache.scope(load_user(2)).await.unwrap_err();
    assert!(
        matches!(&error, DbError::Cache(Error::MissingContext { function: "load_user", context })
            if context.ends_with("Db")),
        "{error:?}"
    );
    let error = cache.get::<User>("user:2").await.unwrap_err();
    assert!(
        matches!(error, GetError::OfCache(Error::MissingContext { .. })),
        "{error:?}"
    );
    // The lease was given back: whoever can load does so at once.
    let full = builder(&db)
        .url(&server.url())
        .unwrap()
        .operation_timeout(PATIENCE);
    let loaded = full.build().await.unwrap().scope(load_user(2));
    within(loaded).await.unwrap();
    // A loader that needs nothing runs everywhere.
    assert_eq!(cache.get::<u64>("config").await.unwrap(), Some(7));
}

#[tokio::test]
async fn where_nothing_is_installed_a_call_says_what_is_missing() {
    let error = load_user(77).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`load_user` needs `read_through::Db`"),
        "{error}"
    );
    assert_eq!(config().await, 7);
}

#[tokio::test]
async fn what_holds_for_aside_holds_here() {
    let clock = ManualClock::new();
    let db = Db::default();
    let cache = builder(&db).clock(&clock).build().await.unwrap();
    let task = cache.scope(async {
        // `stale_if_error`
        assert_eq!(kept(1).await.unwrap(), Some(1));
        clock.advance(Duration::from_secs(61));
        assert_eq!(kept(1).await.unwrap(), Some(1));
        assert_eq!(db.queries(), 2);
        assert_eq!(cache.get::<u64>("kept:1").await.unwrap(), Some(1));
        clock.advance(Duration::from_secs(3600));
        assert!(kept(1).await.is_err());
    });
    task.await;
}

#[tokio::test]
async fn a_call_by_key_waits_no_longer_than_its_timeout() {
    let clock = ManualClock::new();
    let gate = Gate::new();
    let db = Db {
        gate: Some(gate.clone()),
        ..Db::default()
    };
    let cache = builder(&db).clock(&clock).build().await.unwrap();
    let call = tokio::spawn(cache.scope(slow(1)));
    let by_key = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get::<u64>("slow:1").await }
    });
    gate.arrived(1).await;
    eventually(DEADLINE, async || {
        clock.advance(Duration::from_secs(1));
        call.is_finished() && by_key.is_finished()
    })
    .await;
    assert!(matches!(
        call.await.unwrap(),
        Err(DbError::Cache(Error::Timeout(_)))
    ));
    let error = by_key.await.unwrap().unwrap_err();
    assert!(
        matches!(error, GetError::OfCache(Error::Timeout(_))),
        "{error:?}"
    );
    // The load goes on, and is stored.
    gate.open();
    eventually(DEADLINE, || {
        cache.scope(async { slow::peek(1).await.is_some() })
    })
    .await;
    assert_eq!(db.queries(), 1);
}

#[tokio::test]
async fn inside_a_transaction_a_load_is_for_nobody_else() {
    let db = Db::default();
    let cache = provided(&db).await;
    cache
        .in_transaction(async {
            cache.get::<User>("user:1").await.unwrap();
        })
        .await;
    cache.get::<User>("user:1").await.unwrap();
    assert_eq!(db.queries(), 2);
}

proptest::proptest! {
    /// Whatever is written into a key is read from it, and only from the text that was written.
    #[test]
    fn keys_are_read_as_they_were_written(
        text: String,
        list: Vec<Option<Option<String>>>,
        pair: (i64, char),
        other: String,
    ) {
        let value = (text.clone(), list, pair, text);
        let mut writer = KeyWriter::new();
        writer.part(&value);
        let key = writer.finish();
        let read = read_back::<(String, Vec<Option<Option<String>>>, (i64, char), String)>(&key);
        proptest::prop_assert_eq!(read, Some(value));
        if let Some(read) = read_back::<String>(&other) {
            let mut writer = KeyWriter::new();
            writer.part(&read);
            proptest::prop_assert_eq!(writer.finish().to_string(), other);
        }
    }
}

fn read_back<T: FromKeyPart>(text: &str) -> Option<T> {
    KeyText::new(text).parse()
}
